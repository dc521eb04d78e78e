"""Bounds of what others may make us hold, read or wait for: the one place where they are stated.

Each has its unit at the end of its name: BYTES, SECONDS, or what is counted. The text below says what is bounded, in
the words of whoever reads docs/operations.md, and after "Beyond:" what happens then; `scripts/bounds_docs.py` makes a
table there of all of it. A bound is far above what real peers need. What an administrator may want to choose is an
attribute of the directory or an option instead."""

from __future__ import annotations

from typing import Final

# -- Connections, in each process

UNADMITTED_CONNECTIONS: Final = 256
"""Connections to DICOM ports that have no association yet, or none any more; a sixteenth of the file descriptors, if
that is less.

Beyond: the oldest of the address that has most of them is ended."""

OPEN_ASSOCIATIONS: Final = 4096
"""Associations of peers, where dcmLimitOpenAssociations does not allow fewer; a quarter of the file descriptors that
the others leave, if that is less.

Beyond: rejected, transient, local limit exceeded."""

IDLE_THREADS: Final = 3
"""Threads that wait for connections to DICOM ports after they have served others.

Beyond: a thread ends with its association, and is started again when it is needed."""

HTTP_CONNECTIONS: Final = 256
"""Connections to the control port; a sixteenth of the file descriptors, if that is less.

Beyond: the one that has been without a request for longest is ended; if all have one, the oldest that is not whole."""

HTTP_ANSWER_SECONDS: Final = 120.0
"""Answering one HTTP request, whose client may read slowly.

Beyond: its connection may be ended when there are too many."""

HTTP_REQUEST_SECONDS: Final = 20.0
"""An HTTP request, from the opening of its connection, TLS included, to the end of its headers; as long again to the
end of its body.

Beyond: 408, or the connection is ended."""

HTTP_HEADER_BYTES: Final = 32 * 1024
"""Request line and headers of an HTTP request.

Beyond: 431, or 400 where they do not end."""

HTTP_BODY_BYTES: Final = 8 * 1024 * 1024
"""The body of an HTTP request.

Beyond: 413."""

TRIED_FILE_BYTES: Final = 64 * 1024 * 1024
"""A form of the page *Try a rule*, with a DICOM file in it; it is held in memory.

Beyond: 413."""

TRIED_FILE_SECONDS: Final = 120.0
"""Arrival of that.

Beyond: 408."""

TRIED_FILES_AT_ONCE: Final = 4
"""Such forms that are held at once.

Beyond: 503 with Retry-After."""

TRIED_VALUE_BYTES: Final = 65_536
"""Length of a value of that file, if it is no text.

Beyond: its first bytes are kept; no rule looks at such a value."""

TRIED_DATA_SET_BYTES: Final = 16 * 1024 * 1024
"""Length of the data set of that file after this.

Beyond: the file is refused."""

UNCHANGED_ELEMENTS: Final = 500
"""Elements that the page shows although no rule has changed them.

Beyond: they are not shown."""

OFFERED_STUDIES: Final = 10
"""Studies, the newest, that the page offers to try rules on.

Beyond: the UID of the study is typed, or comes from the page of the study."""

HTTP_THREADS: Final = 4
"""HTTP requests of one kind at work: health, metrics and cache, explain; of reloads it is one.

Beyond: they wait."""

HTTP_WAITING_REQUESTS: Final = 32
"""HTTP requests of one kind that wait.

Beyond: 503 with Retry-After."""

WEB_STREAMS: Final = 36
"""Answers of one kind by DICOMweb that are under way: searches, objects, frames, pictures. Each has a thread in the
process with the archive.

Beyond: they wait."""

WEB_WAITING_REQUESTS: Final = 256
"""Requests of one kind by DICOMweb that wait.

Beyond: 503 with Retry-After."""

HTTP_STALLED_SECONDS: Final = 60.0
"""Time in which a client has to take the next part of an answer that is sent while it is made.

Beyond: the connection is ended."""

STREAM_SILENT_SECONDS: Final = 300.0
"""Time in which a worker process has to give the next part of such an answer.

Beyond: 503, or the connection is ended."""

WEB_KEYS: Final = 64
"""Parameters of a DICOMweb search, each value of a list counted.

Beyond: 400."""

WEB_VALIDATORS: Final = 10_000
"""Answers by DICOMweb of which the web server knows since when they are as they are (Last-Modified).

Beyond: those asked for longest ago count as changed just now."""

METADATA_BYTES: Final = 16 * 1024**2
"""Metadata of objects that a process remembers (WADO-RS), all answers together.

Beyond: those asked for longest ago are made anew."""

WEB_FRAMES: Final = 10_000
"""Frames that one request by WADO-RS names.

Beyond: 400."""

METADATA_VALUE_BYTES: Final = 4096
"""A binary value in the metadata of an object (WADO-RS).

Beyond: its URL is told instead."""

STORED_REQUEST_BYTES: Final = 64 * 1024**3
"""The body of a request to store (STOW-RS); it is held on the disk alone.

Beyond: 413."""

STORED_PAUSE_SECONDS: Final = 30.0
"""Time in which the next octets of that have to come; their pace is that of a data set by DICOM.

Beyond: 408; the objects before stay stored."""

STORED_PARTS: Final = 10_000
"""Parts of such a request.

Beyond: 413; the objects before stay stored."""

STORED_PART_HEADER_BYTES: Final = 8192
"""Headers of one of its parts.

Beyond: 400; the objects before stay stored."""

STORED_JSON_BYTES: Final = 16 * 1024 * 1024
"""All JSON of such a request; it is held in memory.

Beyond: 413."""

STORED_HEAD_BYTES: Final = 65_536
"""Preamble and File Meta Information of an object in it.

Beyond: the object is refused, C000."""

STORES_AT_ONCE: Final = 4
"""Such requests that are read at once, in all processes.

Beyond: they wait, as other HTTP requests."""

WEB_INCLUDED: Final = 512
"""Attributes that a DICOMweb search names in includefield.

Beyond: 400."""

JSON_DEPTH: Final = 16
"""Objects and arrays within each other in the JSON of a request.

Beyond: 400."""

JSON_SEQUENCE_DEPTH: Final = 4
"""Sequences within each other in the attributes that a request sends.

Beyond: 400."""

JSON_FAULTS: Final = 200
"""Faults of one document that are told, each with its place.

Beyond: the others are not told."""

# -- Log-in

LOGIN_FAILURES: Final = 10
"""Wrong log-ins with one user name, or from one address (of IPv6, one /64 network), within the next row's time.

Beyond: 429 with Retry-After, also for the right password."""

LOGIN_FAILURES_SECONDS: Final = 300.0
"""For how long a wrong log-in counts.

Beyond: it is forgotten."""

LOGIN_FAILURES_REMEMBERED: Final = 10_000
"""User names and addresses with wrong log-ins.

Beyond: the one whose last wrong log-in is the longest ago is forgotten."""

LOGIN_NAME_CHARACTERS: Final = 256
"""Length of a user name.

Beyond: the log-in counts as a wrong one."""

LOGIN_PASSWORD_CHARACTERS: Final = 1024
"""Length of a password.

Beyond: the log-in counts as a wrong one."""

LOGIN_FORM_BYTES: Final = 32_768
"""Length of the log-in form as it is sent.

Beyond: 413."""

LOGIN_IDLE_SECONDS: Final = 1800.0
"""A session without activity; a page that refreshes itself does not count.

Beyond: it ends, and the user has to log in again."""

LOGIN_SESSION_SECONDS: Final = 43_200.0
"""A session from its log-in.

Beyond: it ends."""

LOGIN_CONFIRMED_SECONDS: Final = 300.0
"""Time for which a session's user and roles are taken as unchanged.

Beyond: they are looked up again; the session ends where none is left."""

LOGIN_SESSIONS: Final = 1000
"""Sessions of all users.

Beyond: the one that was idle for longest ends."""

LOGIN_SESSIONS_OF_A_USER: Final = 16
"""Sessions of one user.

Beyond: the user's session that was idle for longest ends."""

LOGIN_REMEMBERED_SECONDS: Final = 60.0
"""Time for which a correct name and password of HTTP Basic are remembered.

Beyond: they are checked again."""

LOGIN_REMEMBERED: Final = 256
"""Number of these that are known.

Beyond: the one that was used the longest ago is checked again."""
OIDC_TOKEN_CHARACTERS: Final = 16_384
"""Length of a bearer token.

Beyond: 401."""
OIDC_DOCUMENT_BYTES: Final = 262_144
"""Length of what the issuer of tokens publishes: its configuration, and its set of keys.

Beyond: it is not read; the keys that are known go on."""
OIDC_KEYS: Final = 64
"""Keys of the issuer.

Beyond: the set is not taken; the keys that are known go on."""
OIDC_FETCH_SECONDS: Final = 5.0
"""Fetching both.

Beyond: the keys that are known go on; 503 where there are none."""
OIDC_REFRESH_SECONDS: Final = 10.0
"""Time in which the keys are fetched at most once, however many tokens name unknown ones.

Beyond: such a token gets 401, or 503 where the last attempt failed."""
OIDC_KEYS_SECONDS: Final = 3600.0
"""Age of the keys of the issuer.

Beyond: they are fetched again."""
OIDC_KEYS_LAST_SECONDS: Final = 86_400.0
"""Age of the keys of an issuer that gives no answer.

Beyond: tokens get 503."""

PASSWORD_FILE_BYTES: Final = 1_048_576
"""Length of a password file.

Beyond: nobody can log in by it; the service does not start with it."""

# -- Answers of other systems

COMMAND_SECONDS: Final = 10.0
"""A command set, from its first fragment to its last, of whoever sends it.

Beyond: the association is aborted."""

ANSWER_BYTES: Final = 16_777_216
"""Length of the data set of one answer to a C-FIND, C-MOVE or C-GET of ours.

Beyond: the association is aborted; the archive counts as one that does not answer."""

ARRIVING_SECONDS: Final = 60.0
"""Time before the pace of an answer or object of another system is checked.

Beyond: see the next row."""

ARRIVING_BYTES_A_SECOND: Final = 512
"""Rate at which it comes at least, on average; the deadline of a lookup counts besides.

Beyond: below it, the association is aborted; an object is failed, an archive counts as one that does not answer."""

QUESTION_SECONDS: Final = 120.0
"""Asking another archive by C-FIND what it has of a study that is retrieved, or for worklist items: all answers to one
question together.

Beyond: it counts as one that does not tell; of a worklist, the step of the rule fails."""

RETRIEVE_SECONDS: Final = 900.0
"""A retrieve from another archive without another object and without progress of its counts, where dcmRetrieveTimeout
is 0; else that counts.

Beyond: the other archive is sent a C-CANCEL, then an A-ABORT; what has not come is failed."""

REFUSED_OBJECTS: Final = 65_536
"""Different objects that another archive sends for one retrieve, and that cannot be taken or were not asked for.

Beyond: the retrieve from it ends, as above."""

UNREADABLE_ANSWERS: Final = 10_000
"""Answers of another archive in a row, to one C-FIND, that cannot be read.

Beyond: the C-FIND is cancelled; the archive counts as one that does not answer."""

FIND_ANSWERS: Final = 1_000_000
"""Matches of another archive to one C-FIND.

Beyond: the C-FIND is cancelled; the archive counts as one that does not answer."""

ECHO_SECONDS: Final = 10.0
"""A C-ECHO that is asked for over HTTP, from the connection to the release; the peer's name is looked up besides.

Beyond: the association is aborted, and the answer says how far it came."""

EXPORT_SECONDS: Final = 3600.0
"""Sending of stored objects that is asked for over HTTP.

Beyond: what is left counts as failed."""

SENDING_SECONDS: Final = 86_400.0
"""Sending of stored objects by a job.

Beyond: what is left counts as failed."""

SENT_AGAIN_OBJECTS: Final = 10_000
"""Failed objects of one job that can be sent again without the others.

Beyond: all of it has to be sent again."""

# -- The directory

DIRECTORY_BYTES: Final = 268_435_456
"""All that a server tells in one read, whatever length a message announces.

Beyond: the server counts as one that is down."""

DIRECTORY_ENTRIES: Final = 200_000
"""Entries that a server tells in answer to one search, over all its pages.

Beyond: the server counts as one that is down."""

# -- Deflated data sets

INFLATED_BYTES: Final = 201_326_592
"""Length of a deflated data set that is read as a whole, when it is inflated.

Beyond: C000, unless it is within the next row; a stored object cannot be sent, its sub-operation fails."""

INFLATED_TIMES: Final = 32
"""Factor by which a deflated data set may grow.

Beyond: as above."""

INFLATED_AT_ONCE_BYTES: Final = 1_073_741_824
"""All deflated data sets that are held inflated at once, in each process. One that is alone may have more.

Beyond: A700; of a retrieve, the sub-operation fails."""

# -- What waits for a peer

MESSAGE_SECONDS: Final = 60.0
"""Waiting for the rest of a data set or of a PDU, before its pace is checked.

Beyond: see the next row."""

MESSAGE_BYTES_A_SECOND: Final = 64
"""Rate at which it comes at least, on average over the time that is spent in waiting for it. As much has to be taken
of what is sent to a peer, once dcmSendTimeout has passed without all of it.

Beyond: the association is aborted."""

UNCONFIGURED_WAIT_SECONDS: Final = 900.0
"""Waiting for a peer that owes an answer, the rest of a message or room for ours, where the time-out in the directory
is 0. An association without any request under way is kept for ever with a dcmIdleTimeout of 0.

Beyond: as when a time-out of the directory is over."""

DESTINATION_TIMEOUTS: Final = 3
"""Waits in a row, on each association of a C-MOVE, in which the destination gives no response in time to any object.

Beyond: the other objects fail at once."""

OPERATIONS_AT_ONCE: Final = 64
"""Operations outstanding on one association, of either side, where dcmMaxOpsInvoked or dcmMaxOpsPerformed is 0 or
greater.

Beyond: of ours, the next C-STORE waits for a response; more requests than were granted end in an abort."""

FORWARDED_AT_ONCE_BYTES: Final = 33_554_432
"""Objects of one association that are under way to an archive behind us, where several may be outstanding; and one
object more.

Beyond: the next one is taken when the first one is answered."""

WAITING_REQUESTS_BYTES: Final = 8_388_608
"""Identifiers of requests that came on an association while another one is served, where several may be outstanding.

Beyond: the association is aborted."""

FIND_SNAPSHOT_SECONDS: Final = 10.0
"""Time that a client may take to read the matches of one C-FIND in one state of the index, which cannot shrink its
write-ahead log meanwhile, beside the page that is being sent to it.

Beyond: the others are told as they are when their page is made."""

DRIFT_PATIENCE_SECONDS: Final = 300.0
"""Time for which a comparison (drift) asks an archive again that gives no answer.

Beyond: it ends; it can go on from there later."""

DRIFT_WINDOW_STUDIES: Final = 500
"""Studies of another archive that a comparison takes from one query.

Beyond: the query is cancelled, and the next one asks for half of the days or seconds."""

DRIFT_STUDIES_SHOWN: Final = 100
"""Studies that the page of a comparison lists for an attribute.

Beyond: they are in the CSV file."""

DRIFT_GAPS: Final = 100
"""Notes of a comparison about studies that could not be walked.

Beyond: further ones are not kept."""

# -- On the wire

SENT_PDU_LEAST_BYTES: Final = 1024
"""Shortest maximum length of a P-DATA-TF that a peer may announce to be sent data sets.

Beyond: below it, its C-FIND, C-MOVE and C-GET end with C000; an association of ours with it is aborted."""

COMMAND_BYTES: Final = 65_536
"""Length of a command set.

Beyond: the association is aborted."""

MAPPED_BYTES: Final = 8 * 1024 * 1024
"""Octets of a stored object that are mapped at a time, on each association that it is sent on.

Beyond: the next ones are mapped when these are sent."""

LOOKED_AT_BYTES: Final = 64 * 1024 * 1024
"""Octets at the beginning of a stored object that are read to find and change its attributes.

Beyond: the object is decoded as a whole, in memory."""

REMEMBERED_CONTEXT_BYTES: Final = 1024
"""Length of a presentation context in a request of an admitted peer whose decoded form is remembered.

Beyond: it is decoded each time."""

REMEMBERED_CONTEXTS_BYTES: Final = 2_097_152
"""All presentation contexts that are remembered decoded, and as much for the answers to them.

Beyond: the one not used for longest is forgotten, and decoded again."""

REMEMBERED_REQUEST_BYTES: Final = 32_768
"""Length of a request of an admitted peer for an association, without a User Identity, that is remembered decoded, with
the answer to it.

Beyond: it is decoded and negotiated each time."""

REMEMBERED_REQUESTS_BYTES: Final = 2_097_152
"""All requests for associations that are remembered decoded, three octets for each that came, and as much for the
answers to them.

Beyond: the one not used for longest is forgotten, and decoded again."""

FOREIGN_PEERS: Final = 1000
"""Hosts that speak TLS, HTTP or the like on a DICOM port and whose connections are counted.

Beyond: all are forgotten, and told again when they come."""

REMEMBERED_COMMAND_BYTES: Final = 1024
"""Length of a command set whose layout is remembered.

Beyond: it is decoded element by element each time."""

# -- Identifiers of C-FIND, C-MOVE and C-GET

IDENTIFIER_BYTES: Final = 4_194_304
"""Length of an identifier, inflated where it is deflated.

Beyond: A900."""

IDENTIFIER_ELEMENTS: Final = 4096
"""Elements and items of an identifier, those in sequences included.

Beyond: A900."""

IDENTIFIER_DEPTH: Final = 16
"""Depth to which sequences are nested in an identifier.

Beyond: A900."""

IDENTIFIER_VALUES: Final = 20_000
"""Values of all keys of an identifier together, as the UIDs of a list.

Beyond: A900."""

KEY_CHARACTERS: Final = 1024
"""Length of one value of a key that is matched.

Beyond: A900."""

KEY_PATTERNS: Final = 100
"""Values of one key that are wild cards or ranges, and the forms in which a name is looked for.

Beyond: A900."""

SORTED_MATCHES: Final = 10_000
"""Matches of a DICOMweb search that are sorted in memory: those of another archive, and of leading-first.

Beyond: 413, unless limit and offset ask for fewer of them."""

WEB_SEARCH_SECONDS: Final = 120.0
"""Time in which archives have to give the next page of the answer to a DICOMweb search.

Beyond: 503, or the connection is ended where rows have been sent."""

# -- Data sets

DATA_SET_ELEMENTS: Final = 65_536
"""Elements of the top level of a data set that is stored.

Beyond: C000."""

REMEMBERED_LAYOUT_ELEMENTS: Final = 65_536
"""Elements in the layouts of data sets that are remembered: of those that are stored, of those that come from another
archive, and of those that are sent.

Beyond: they are forgotten, and learned again."""

DATA_SET_NESTED_ELEMENTS: Final = 1_000_000
"""Elements, items and fragments of a data set in all, those in its sequences included.

Beyond: C000."""

# -- Rules

CONDITION_MATCH_SECONDS: Final = 0.5
"""Matching all values of an attribute against the regular expression of one condition.

Beyond: the rule cannot be judged, and the log names it. Of a retrieve, the sub-operation fails; a C-STORE or C-FIND
ends with 0110."""

CONDITION_TIMEOUTS: Final = 10
"""Number of times in one request that conditions may take longer than that.

Beyond: no rule is judged any more in this request, which fails what is left of it in the same way."""

REGULAR_EXPRESSION_CHARACTERS: Final = 1024
"""Length of a regular expression in a rule.

Beyond: the configuration is refused, with the entry and the attribute."""

WORKLIST_ITEMS: Final = 100
"""Worklist items in the answer for one object.

Beyond: the archive did not match the keys; the step of the rule fails."""

# -- Data directory

START_OF_ANOTHER_SERVICE_SECONDS: Final = 60.0
"""Waiting for another service that starts on the same data directory.

Beyond: this one does not start."""

# -- Log

FOREIGN_TEXT_CHARACTERS: Final = 256
"""A text of a peer or of a directory in a log line or an answer, as an AE title, a UID, or why a server refuses.

Beyond: it is cut, and its length is told."""

LOG_RECORD_CHARACTERS: Final = 65_536
"""One record of the log in all.

Beyond: it is cut, and its length is told."""

# -- Remembered

TOLD_ENTRIES: Final = 10_000
"""Entries of devices and rules that were told over HTTP with an ETag, in all their states.

Beyond: the state told longest ago is forgotten; a conflict with it is told without the values."""

REMOTE_AE_TITLES: Final = 10_000
"""AE titles whose look-up in the directory is remembered, those that are not there included.

Beyond: the oldest is forgotten, and looked up again."""

FOLLOWED_AES: Final = 200
"""AEs that were looked up, such as move destinations, which `serve --watch` goes on looking at.

Beyond: the one looked up longest ago is read again only after dcmAECacheStaleTimeout."""

LISTED_AES: Final = 2_000
"""AEs of the directory that are listed to find the one that a misspelt title means.

Beyond: nothing is suggested; a title that stands alone in a condition is looked up all the same."""

UNREACHABLE_QUESTIONS: Final = 10_000
"""Questions to leading archives that failed and are not asked again at once.

Beyond: the oldest is forgotten, and asked again."""

COERCED_MATCHES: Final = 10_000
"""Matches of queries whose coercion is remembered.

Beyond: the one not used for longest is forgotten, and coerced again."""

COERCED_MATCH_BYTES: Final = 16_384
"""Length of such a match, before and after.

Beyond: it is not remembered."""

COERCED_OBJECTS: Final = 512
"""Outcomes of the coercion of objects that are remembered for the next retrieve.

Beyond: the one not used for longest is forgotten, and worked out again."""

COERCED_OBJECT_BYTES: Final = 16_384
"""Length of the elements that such an outcome is made of, before and after.

Beyond: it is not remembered."""

# -- Pages

HTTP_FORM_FIELDS: Final = 10_000
"""Fields of a form that is sent.

Beyond: 400."""

LISTED_DEVICES: Final = 200
"""Devices on one page of the list.

Beyond: there are further pages, and a filter."""

FOUND_FIELDS: Final = 200
"""Fields that a search over a device tells.

Beyond: the first ones are told, those with a value before the others."""

SUGGESTED_TITLES_SECONDS: Final = 15.0
"""Time for which the pages remember the AE titles of the directory, to suggest them.

Beyond: the directory is asked again; at once where a page has changed something."""

SHOWN_AE_TITLES: Final = 20
"""AE titles that are told as matching a condition.

Beyond: only how many more there are."""

SEARCH_SECONDS: Final = 30.0
"""Time in which an archive that an AE stands in front of has to answer a search by the pages.

Beyond: the search fails, and tells which archive gave no answer."""

SHOWN_SERIES: Final = 1_000
"""Series of a study that are shown.

Beyond: the first ones that the archive tells."""

SHOWN_INSTANCES: Final = 1_000
"""Instances of a series that are shown.

Beyond: the first ones that the archive tells."""

PICTURES_AT_ONCE: Final = 2
"""Pictures of studies that are decoded at once.

Beyond: another one waits."""

PICTURE_PIXELS: Final = 512
"""Width and height of a picture in the pages.

Beyond: it is shrunk."""

JOBS_AT_ONCE: Final = 4
"""Jobs that run at once: sending of studies, comparisons with a leading archive.

Beyond: another one is refused until one has ended."""

JOBS_REMEMBERED: Final = 100
"""Jobs that are remembered, those that run included.

Beyond: the oldest that has ended is forgotten."""

JOB_PROBLEMS: Final = 100
"""Problems of one job that are told.

Beyond: they count only."""

LISTED_ANSWERS: Final = 100
"""Answers of leading archives on one page of the lists, and in one answer of `/dcm4py-leading/leading/last-known`.

Beyond: there are further pages, and a filter."""

HISTORY_INTERVAL_SECONDS: Final = 60.0
"""Time between two samples of how leading archives answer.

Beyond: the next sample is taken."""

HISTORY_INTERVALS: Final = 1440
"""Samples that are remembered of how leading archives answer: those of 24 hours.

Beyond: the oldest is forgotten."""

# -- Decoded images, in each process with an archive

DECODERS: Final = 2
"""Processes that decode pixel data for DICOMweb and pages.

Beyond: an image waits."""

DECODING_WAITING: Final = 32
"""Images that wait for these.

Beyond: 503, or the page says so."""

DECODING_SECONDS: Final = 60.0
"""Decoding of one frame, and the wait for it.

Beyond: the process that decodes is ended, or 503."""

DECODING_CPU_SECONDS: Final = 10
"""Processor time of the decoding of one frame.

Beyond: the process that decodes is ended, and the image is refused."""

DECODER_MEMORY_BYTES: Final = 2 * 1024**3
"""Address space of a process that decodes.

Beyond: the image is refused."""

DECODED_BYTES: Final = 256 * 1024**2
"""One frame of an image, decoded or not.

Beyond: the image is refused."""

VIEWPORT_PIXELS: Final = 4096
"""Width and height of a picture by DICOMweb that a client asks for.

Beyond: 400."""

DECODER_IDLE_SECONDS: Final = 60.0
"""Process that decodes and has nothing to do.

Beyond: it is ended, and started again when it is needed."""
