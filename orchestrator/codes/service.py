"""Codes of what the service and the file host do: to the account, to one export, to one request."""

from __future__ import annotations

from orchestrator.codes.code import Code

_AGAIN = "Run the same command again: what is stored is not asked for anew."
_SUPPORT = "If it stays so, tell Loop's support the report ids; the run's report and `status --json` have them."
_NOTHING = "Nothing, if it goes away: it is tried again by itself, and told because it may explain a slow run."
_TRIES = "If it goes on, the export fails with a code of its own, or the host is told to be out (docs/design.md)."

SERVICE = (
    # ----------------------------------------------------------------------------------------------------- the account
    Code(
        "account.token",
        "refused",
        "The service does not take the token (HTTP 401).",
        (
            "The token was revoked, or belongs to another environment.",
            "Another secret was put in its place.",
            "`api.base_url` names another service.",
        ),
        (
            "Make a new token in Loop's web settings, and put it where `api.token` points.",
            "`orchestrator doctor JOB` says where it is read from.",
            _AGAIN,
        ),
    ),
    Code(
        "account.forbidden",
        "refused",
        "The token may not make exports at all (HTTP 403 before anything of this identity was accepted).",
        (
            "The plan of the account has no API.",
            "The token's user has no right to reports.",
            "The user in `api.impersonate` may not be acted for.",
        ),
        ("Look at the plan and at the user's rights in Loop.", "Try without `api.impersonate`.", _AGAIN),
    ),
    Code(
        "account.unverified",
        "refused",
        "The service says that the account is not verified (HTTP 451).",
        ("The account is new, or its verification lapsed.",),
        ("Verify the account in Loop, then run again.",),
    ),
    Code(
        "account.other",
        "refused",
        "The service knows none of the reports that earlier runs made: this seems to be another account.",
        (
            "The token, `api.base_url` or `api.impersonate` was changed.",
            "All reports have expired, and the service has forgotten their ids.",
        ),
        (
            "Look whether token, address and identity are those of the earlier runs.",
            "If they are, remove the state folder: what is stored stays stored, and the rest is created anew.",
        ),
    ),
    # ------------------------------------------------------------------------------------------------------- the hosts
    Code(
        "host.unreachable",
        "unreachable",
        "The service gave nobody a usable answer for as long as `retry.outage` allows.",
        (
            "It is down.",
            "The network, DNS, a firewall or the proxy is.",
            "`api.base_url` names a host that there is not.",
        ),
        ("`orchestrator doctor JOB` says how far one gets.", "Look at the service's status page.", _AGAIN),
    ),
    Code(
        "host.untrusted",
        "unreachable",
        "Whether the host that answers is the service can't be verified, so nothing more is sent to it.",
        (
            "A proxy that opens TLS, whose certificate is not known here.",
            "A certificate that has run out.",
            "An answer that redirects elsewhere.",
        ),
        (
            "Give your organisation's root certificates as `network.ca_file`, or in SSL_CERT_FILE.",
            "Look whether `api.base_url` is right to the letter.",
            "Look at this machine's clock: certificates have dates.",
        ),
    ),
    Code(
        "host.not-loop",
        "unreachable",
        "The first creations were answered with 404 or 405: what answers there is hardly Loop's API.",
        ("`api.base_url` lacks a part of its path, or has one too many.", "A proxy or a placeholder page answers."),
        ("Look at `api.base_url`; the default is https://api.intheloop.io.",),
    ),
    Code(
        "file-host.unreachable",
        "unreachable",
        "The host of the files gave nobody a usable answer for as long as `retry.outage` allows.",
        ("A firewall lets the API through, but not the host of the files.", "It is down.", "A proxy alters downloads."),
        (
            "Let the machine reach the host that the error names.",
            "Run again before the exports expire: they are kept, and only fetched.",
        ),
    ),
    Code(
        "file-host.untrusted",
        "unreachable",
        "The host of the files can't be trusted: its address or its certificate is not what it must be.",
        (
            "A file URL on a private address, or without https.",
            "A proxy that opens TLS, whose certificate is not known here.",
        ),
        (
            "If your files do lie on a private address, set `api.allow_private: true`.",
            "Give your organisation's root certificates as `network.ca_file`.",
        ),
    ),
    # -------------------------------------------------------------------------------------------------- one export fails
    Code(
        "request.invalid",
        "export",
        "The service refuses this very request (HTTP 400).",
        ("An id that there is not (any more).", "A zone, a window or a filter that the service does not take."),
        (
            "Change what the job asks for; the service's own words are in the message.",
            "An unchanged request is sent again with `--only failed` alone.",
        ),
    ),
    Code(
        "request.forbidden",
        "export",
        "The token may not ask for this export (HTTP 403), while others of it are fine.",
        ("The token's user does not see this shared inbox, tag or agent.",),
        ("Look at what the user sees in Loop, or leave the export out with `matrix.exclude`.",),
    ),
    Code(
        "create.ambiguous",
        "export",
        "Whether the service created this export is not known, and the job says to stop then (`retry.ambiguous: stop`).",
        (
            "The answer to the creation was lost, cut, or an error of a proxy.",
            "A run was killed between sending and reading.",
        ),
        (
            "Look in Loop whether it exists.",
            "Run again to create it (anew); `retry.ambiguous: recreate` does so by itself, and counts the possible duplicate.",
        ),
    ),
    Code(
        "export.failed",
        "export",
        "The service said `Failed` for each creation of this export, as often as `retry.exports` allows.",
        ("Too much is asked for at once.", "A fault of the service at this data."),
        ("Ask for less at once: smaller windows, fewer inboxes an export.", _SUPPORT),
    ),
    Code(
        "export.expired",
        "export",
        "The export was gone each time before it could be fetched.",
        ("Runs were ended too early, and the next ones came too late.", "Downloads are much slower than creations."),
        ("Run again, and let the run go on until it ends.", "A lower `limits.unfinished` makes fewer wait at once."),
    ),
    Code(
        "export.missing",
        "export",
        "The service answered 404 for each report of this export that it had created itself.",
        ("The token, address or identity was changed meanwhile.", "The service forgets reports early."),
        ("Look whether `api.base_url`, the token and `api.impersonate` are those that created it.", _SUPPORT),
    ),
    Code(
        "export.stuck",
        "export",
        "The export was at work for longer than `retry.stuck_after`, each time.",
        ("It is very large.", "The service has lost it."),
        ("Ask for less at once, or raise `retry.stuck_after`.", _SUPPORT),
    ),
    Code(
        "download.refused",
        "export",
        "The host of the files refused even fresh URLs of this export, `retry.attempts` times in a row.",
        ("The file behind the URLs is gone.", "This machine's clock or a proxy spoils signatures."),
        ("Run again later.", "`orchestrator doctor JOB` looks at the clock.", _SUPPORT),
    ),
    Code(
        "service.failing",
        "export",
        "One request of this export failed `retry.attempts` times, while the host answered others well.",
        ("The service chokes on this export.", "A proxy or a firewall dislikes something in it."),
        ("Run again to try anew.", "Narrow the export down: smaller windows.", _SUPPORT),
    ),
    # ------------------------------------------------------------------------------- told, and tried again by itself
    Code(
        "api.create",
        "none",
        "One creation failed and is tried again.",
        ("An error of the service, of a proxy or of the network.",),
        (_NOTHING, _TRIES),
    ),
    Code(
        "api.poll",
        "none",
        "One question about an export failed and is asked again.",
        ("An error of the service, of a proxy or of the network.",),
        (_NOTHING, _TRIES),
    ),
    Code(
        "api.status",
        "none",
        "The service gave a status that its documentation does not name; the export is polled on.",
        ("A newer version of the service.",),
        ("Nothing now. If the export gets stuck, look for a newer orchestrator, or report the status.",),
    ),
    Code(
        "report.lost",
        "none",
        "A report on the service failed, expired or is gone before its file was here; the export is created anew.",
        ("The service gave the export up.", "It was ready for so long that it expired."),
        (_NOTHING, "If it comes often, look at the export's request; `retry.exports` bounds the creations."),
    ),
    Code(
        "download.url",
        "none",
        "A signed URL had died before the download began; a fresh one is asked for.",
        ("Downloads wait longer than URLs live.", "This machine's clock is wrong."),
        (_NOTHING, "If it comes often, lower `limits.unfinished` or raise `limits.downloads`."),
    ),
    Code(
        "download.broken",
        "none",
        "A download broke off or did not begin; it is taken up where it stopped, if the host lets it.",
        ("The network, or a proxy with a time limit of its own.",),
        (_NOTHING, _TRIES),
    ),
)
