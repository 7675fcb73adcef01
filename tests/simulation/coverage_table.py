"""What many runs have covered: faults by kind, kills by label, power cuts, and every violation."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import faults
from oracle import Violation
from world import World


@dataclass
class Coverage:
    seeds: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[int, str]] = field(default_factory=list)

    def add(self, world: World, violations: list[Violation]) -> None:
        evidence = world.evidence
        self.seeds += 1
        self.ends.update(process.how for process in evidence.processes)
        self.outcomes.update(str(p.report["outcome"]) for p in evidence.processes if p.report)
        self.faults.update(world.weather.hits)
        self.labels.update(world.labels)
        self.sizes.update(
            {
                "requests": len(evidence.calls),
                "downloads": len(evidence.downloads),
                "journal events": len(evidence.commits),
                "exports created": len(evidence.reports),
                "steps of the loop": sum(process.steps for process in evidence.processes),
            }
        )
        self.violations += [(world.seed, str(violation)) for violation in violations]

    def merge(self, other: Coverage) -> None:
        self.seeds += other.seeds
        for name in ("ends", "outcomes", "faults", "labels", "sizes"):
            getattr(self, name).update(getattr(other, name))
        self.violations += other.violations

    def table(self, seconds: float) -> str:
        lines = [f"{self.seeds} seeds in {seconds:.0f} s ({self.seeds / seconds:.1f}/s)"]
        for title, counts in (
            ("processes", self.ends),
            ("outcomes", self.outcomes),
            ("amounts", self.sizes),
            ("faults", Counter({kind: self.faults[kind] for kind in faults.ALL})),
            ("kills by label", Counter({label: self.labels[label] for label in faults.LABELS})),
        ):
            lines.append(f"\n{title}: {sum(counts.values())}")
            lines += [f"  {name:28} {count:9}" for name, count in counts.items()]
        lines.append(f"\nviolations: {len(self.violations)}")
        lines += [f"  seed {seed}: {text}" for seed, text in self.violations]
        return "\n".join(lines)
