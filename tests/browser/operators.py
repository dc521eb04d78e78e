"""Two ways to operate the pages: with a mouse, and without one."""

from __future__ import annotations

from typing import Protocol

from playwright.sync_api import Locator, Page

_MAX_STEPS = 1500
"""Presses of Tab from one element of a page to any other."""


class Operator(Protocol):
    """Somebody before the screen. Elements are named as assistive technology names them."""

    def follow(self, link: str) -> None:
        """Follow a link."""
        ...

    def press(self, button: str) -> None:
        """Press a button."""
        ...

    def fill(self, label: str, text: str) -> None:
        """Put a text into a field, in place of what is there."""
        ...

    def choose(self, label: str, option: str) -> None:
        """Choose from a list."""
        ...


class Mouse:
    """Clicks, and types only what is text."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def follow(self, link: str) -> None:
        """Follow a link."""
        self._page.get_by_role("link", name=link, exact=True).first.click()

    def press(self, button: str) -> None:
        """Press a button."""
        self._page.get_by_role("button", name=button, exact=True).first.click()

    def fill(self, label: str, text: str) -> None:
        """Put a text into a field."""
        self._page.get_by_label(label, exact=True).first.fill(text)

    def choose(self, label: str, option: str) -> None:
        """Choose from a list."""
        self._page.get_by_label(label, exact=True).first.select_option(option)


class Keyboard:
    """Goes from element to element by Tab, and uses keys alone."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def follow(self, link: str) -> None:
        """Follow a link by Enter."""
        self._reach(self._page.get_by_role("link", name=link, exact=True).first)
        self._page.keyboard.press("Enter")

    def press(self, button: str) -> None:
        """Press a button by Enter."""
        self._reach(self._page.get_by_role("button", name=button, exact=True).first)
        self._page.keyboard.press("Enter")

    def fill(self, label: str, text: str) -> None:
        """Replace the text of a field."""
        field = self._page.get_by_label(label, exact=True).first
        self._reach(field)
        self._page.keyboard.press("Control+A")
        self._page.keyboard.press("Delete")
        self._page.keyboard.type(text)
        assert field.input_value() == text

    def choose(self, label: str, option: str) -> None:
        """Go down the list until the option is chosen."""
        field = self._page.get_by_label(label, exact=True).first
        self._reach(field)
        self._page.keyboard.press("Home")
        for _ in range(field.locator("option").count()):
            if field.input_value() == option:
                return
            self._page.keyboard.press("ArrowDown")
        assert field.input_value() == option

    def _reach(self, wanted: Locator) -> None:
        wanted.wait_for()
        for _ in range(_MAX_STEPS):
            if wanted.evaluate("element => element === document.activeElement"):
                assert wanted.evaluate("element => element.matches(':focus-visible')"), "the focus is not seen"
                return
            self._page.keyboard.press("Tab")
        raise AssertionError(f"{wanted} is not reached by Tab")
