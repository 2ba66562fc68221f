"""Licences by their ids on the Hub and of SPDX, and which of them forbid commercial use."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

if TYPE_CHECKING:
    from collections.abc import Iterable

LICENSE_KEYS = ("license", "license_name", "license_link")
OTHER = "other"
# What the Hub accepts in a card: https://huggingface.co/docs/hub/repositories-licenses; its "unknown" is no licence.
_HUB = frozenset(
    """
    afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0
    bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5
    cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0
    cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0
    cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0 etalab-2.0
    eupl-1.1 eupl-1.2 fair-noncommercial-research-license gemma gfdl gpl gpl-2.0 gpl-3.0 h-research intel-research isc
    lgpl lgpl-2.1 lgpl-3.0 lgpl-lr llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 lppl-1.3c mit mpl-2.0 ms-pl ncsa
    odbl odc-by ofl-1.1 openmdw-1.0 openrail openrail++ osl-3.0 other pddl postgresql unlicense wtfpl zlib
    """.split()  # noqa: SIM905 - a list of words that people read
)
_NON_COMMERCIAL = re.compile(r"(^|[^a-z])(nc|non-?commercial|research|amlr|deepfloyd)([^a-z]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Licence:
    """A licence as the Hub's metadata holds it; ``name`` and ``link`` only where the Hub has no id for it."""

    id: str
    name: str | None = None
    link: str | None = None

    def __str__(self) -> str:
        return self.id if self.name is None else f"{self.name} ({self.link})"

    @property
    def is_non_commercial(self) -> bool:
        """Whether its name says that it forbids commercial use."""
        return forbids_commerce(f"{self.id} {self.name or ''}")


def forbids_commerce(licence: str) -> bool:
    """Return whether the name of a licence says that it forbids commercial use."""
    return bool(_NON_COMMERCIAL.search(licence))


def license_problem(license_id: object, name: object, link: object) -> tuple[str, str] | None:
    """Return what is wrong with a recipe's ``card.license``, ``license_name`` and ``license_link``, and a hint."""
    if license_id is None:
        return None
    if not isinstance(license_id, str) or _on_hub(license_id) is None:
        close = difflib.get_close_matches(str(license_id).lower(), _HUB, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(close)}? " if close else ""
        return f"card.license is {license_id!r}, which is no licence that the Hub or SPDX knows", (
            f"{hint}any other is card.license=other with card.license_name=... and card.license_link=..."
        )
    if license_id.lower() != OTHER:
        return None
    missing = [f"card.{key}=..." for key, value in zip(LICENSE_KEYS[1:], (name, link), strict=True) if not value]
    return (f"card.license is {OTHER!r}, which says nothing by itself", f"set {' '.join(missing)}") if missing else None


def licence(license_id: str, name: str | None, link: str | None) -> Licence:
    """Return a licence that `license_problem` finds nothing wrong with."""
    found = _on_hub(license_id)
    if found == OTHER and license_id.lower() == OTHER:
        return Licence(OTHER, name, link)
    if found == OTHER:
        spdx = str(canonicalize_license_expression(license_id))
        return Licence(OTHER, spdx, f"https://spdx.org/licenses/{spdx}.html")
    return Licence(str(found))


def conflict(result: Licence, sources: Iterable[tuple[str, str]]) -> str | None:
    """Return why a model must not have this licence: something in it, by name, forbids commercial use.

    What a licence of the author's own forbids is not known here.
    """
    if result.is_non_commercial or (result.id == OTHER and not _is_spdx(result.name or "")):
        return None
    for what, said in sources:
        if forbids_commerce(said):
            return f"{what}: its licence {said} forbids commercial use, which {result} allows"
    return None


def _is_spdx(name: str) -> bool:
    try:
        return " " not in canonicalize_license_expression(name) and not name.lower().startswith("licenseref-")
    except (InvalidLicenseExpression, ValueError):
        return False


def _on_hub(license_id: str) -> str | None:
    """Return the Hub's id, ``other`` for one that only SPDX knows, None for one that neither does."""
    if license_id.lower() in _HUB:
        return license_id.lower()
    if not _is_spdx(license_id):
        return None
    spdx = str(canonicalize_license_expression(license_id)).lower()
    without = re.sub(r"-(only|or-later)$", "", spdx)
    return without if without in _HUB else OTHER
