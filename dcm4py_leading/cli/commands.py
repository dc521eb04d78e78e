"""All commands, in the order of ``--help``."""

from __future__ import annotations

from dcm4py_leading.cli.command import Listed

COMMANDS = tuple(
    Listed(name, f"dcm4py_leading.cli.{module}", adder, short_help)
    for name, module, adder, short_help in (
        ("serve", "serve", "add_serve_command", "Run the service."),
        ("check", "check", "add_check_commands", "Print every problem of the configuration."),
        ("show", "check", "add_check_commands", "Print the effective configuration on one screen."),
        ("explain", "explain", "add_explain_command", "Print which rules apply to an object or study, and why."),
        ("drift", "drift", "add_drift_command", "Count the studies that are not as the leading archive says."),
        ("studies", "studies.group", "add_studies_commands", "List, show, delete or import stored studies."),
        ("send", "sending.send", "add_send_command", "Let the running service send a study."),
        ("echo", "sending.echo", "add_echo_command", "Let the running service send a C-ECHO."),
        ("reload", "service", "add_service_commands", "Let the running service read its configuration again."),
        ("status", "service", "add_service_commands", "Print how the running service is."),
        ("log-reference", "service", "add_service_commands", "Print what stands for a study in the log."),
        ("cache", "service", "add_service_commands", "List or forget remembered answers of leading archives."),
        ("ldif", "ldif", "add_ldif_commands", "Check, mend and forecast LDIF before it is imported."),
        ("user", "user", "add_user_commands", "Users of a password file, for serve --login-file."),
        (
            "files",
            "installation",
            "add_installation_commands",
            "Copy schema, LDIF files, systemd unit and documents to a folder.",
        ),
        ("man", "installation", "add_installation_commands", "Print the man page."),
    )
)
