"""Findings as SARIF 2.1.0 (OASIS, 2020), for editors and code hosts: a proof is a code flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_letters, digits
from typing import Any

from msgspec import Struct

from lorelint.model.finding import Finding, Fix, Judged, Report, Severity, Sibling, Status, Step
from lorelint.report import prose
from lorelint.report.text import sentence, words

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
FINGERPRINT = "lorelint/v1"
_ROOT = "SRCROOT"
_UNRESERVED = frozenset(ascii_letters + digits + "-._~/")
_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}

Object = dict[str, Any]


class RuleHelp(Struct, frozen=True):
    """What is shown beside a finding of a rule."""

    name: str
    summary: str
    help: str  # plain text, the whole page
    severity: Severity = Severity.WARNING


def sarif(
    report: Report,
    rules: Sequence[RuleHelp],
    version: str,
    dismissed: Sequence[Judged] = (),
    reasons: Mapping[str, str] | None = None,
) -> Object:
    """One run: what counts, and what was dismissed as suppressed with its reason (by fingerprint)."""
    number = {rule.name: at for at, rule in enumerate(rules)}
    live = [judged for judged in report.findings if prose.counts(judged)]
    results = [_result(judged, number) for judged in live]
    for judged in dismissed:
        why = words((reasons or {}).get(judged.finding.fingerprint, ""))
        suppression: Object = {"kind": "external", "status": "accepted"}
        results.append(
            {**_result(judged, number), "suppressions": [suppression | ({"justification": why} if why else {})]}
        )
    driver = {
        "name": "lorelint",
        "semanticVersion": version,
        "rules": [_rule(rule) for rule in rules],
    }
    notes = [
        {"level": "error", "message": {"text": words(f"{each.rule} failed on {each.path}: {each.text}")}}
        for each in report.failures
    ]
    run: Object = {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": not report.failures, "toolExecutionNotifications": notes}],
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The top folder of the kernel source."}}},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: RuleHelp) -> Object:
    return {
        "id": rule.name,
        "shortDescription": {"text": sentence(rule.summary)},
        "help": {"text": rule.help},
        "defaultConfiguration": {"level": _LEVEL[rule.severity]},
    }


def _result(judged: Judged, number: Mapping[str, int]) -> Object:
    finding = judged.finding
    made: Object = {
        "ruleId": finding.rule,
        "level": "note" if judged.gone_in else _LEVEL[finding.severity],
        "message": {"text": _told(judged)},
        "locations": [_location(finding.path, finding.line, function=finding.function)],
        "partialFingerprints": {FINGERPRINT: finding.fingerprint},
        "baselineState": "new" if judged.status is Status.NEW else "updated",
        "properties": {"confidence": finding.confidence, "status": judged.status.value, "patch": judged.patch},
    }
    if finding.rule in number:
        made["ruleIndex"] = number[finding.rule]
    if finding.steps:
        made["codeFlows"] = [{"threadFlows": [{"locations": [_flow(step) for step in finding.steps]}]}]
    if finding.fix is not None:
        made["fixes"] = [_fix(finding.fix)]
    if finding.siblings:
        made["relatedLocations"] = [_sibling(at, each) for at, each in enumerate(finding.siblings, 1)]
    return made


def _told(judged: Judged) -> str:
    finding: Finding = judged.finding
    parts = [prose.statement(finding), *finding.facts]
    if judged.because:
        parts.append(f"judged again because {judged.because}")
    if judged.gone_in:
        parts.append(f"gone in patch {judged.gone_in}")
    if finding.advice:
        parts.append(finding.advice)
    return " ".join(sentence(part) for part in parts)


def _location(path: str, line: int, text: str = "", function: str = "") -> Object:
    artifact: Object = {"uri": _uri(path), "uriBaseId": _ROOT}
    physical: Object = {"artifactLocation": artifact}
    if line > 0:
        physical["region"] = {"startLine": line}
    made: Object = {"physicalLocation": physical}
    if text:
        made["message"] = {"text": words(text)}
    if function:
        made["logicalLocations"] = [{"name": words(function), "kind": "function"}]
    return made


def _fix(fix: Fix) -> Object:
    """Whole lines: each is deleted with its line feed, and what stands there instead is put in."""
    replacements = [
        {
            "deletedRegion": {"startLine": edit.line, "startColumn": 1, "endLine": edit.line + 1, "endColumn": 1},
            "insertedContent": {"text": "".join(f"{line}\n" for line in edit.lines)},
        }
        for edit in fix.edits
    ]
    change = {"artifactLocation": {"uri": _uri(fix.path), "uriBaseId": _ROOT}, "replacements": replacements}
    return {"description": {"text": sentence(fix.text)}, "artifactChanges": [change]}


def _uri(path: str) -> str:
    """A relative reference (RFC 3986): bytes that are not unreserved are spelt out."""
    raw = path.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if chr(byte) in _UNRESERVED else f"%{byte:02X}" for byte in raw)


def _flow(step: Step) -> Object:
    return {"location": _location(step.path, step.line, step.text)}


def _sibling(number: int, sibling: Sibling) -> Object:
    return {"id": number, **_location(sibling.path, sibling.line, f"{sibling.function}(): {sibling.text}")}
