"""Child process of a simulation: `python -m simulations.fleets.worker`; asked once, then ended.

What it starts - Ray and its processes - ends with it, also where it is killed.
"""

from pathlib import Path
from typing import Any

from coordinator.federation.plan import FederationPlan
from model_library.processes.answering import answer_questions
from simulations.fleets.scenario import Comparison
from simulations.fleets.sites import SiteFiles


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Answer `run`, `judge` and `score`; refusals are raised."""
    if question["op"] == "run":
        from simulations.fleets.engine import EngineRun, run_engine

        run = EngineRun.model_validate_json(Path(question["file"]).read_bytes())
        return run_engine(run).model_dump(mode="json")
    import torch

    from simulations.fleets.judging import UnusableNetwork, judge, score_file

    torch.set_num_threads(1)
    plan = FederationPlan.model_validate(question["plan"])
    sites = [SiteFiles.model_validate(each) for each in question["sites"]]
    folder, final = Path(question["folder"]), question["final"]
    match question["op"]:
        case "judge":
            asked = Comparison.model_validate(question["comparison"])
            return judge(plan, folder, final, sites, asked).model_dump(mode="json")
        case "score":
            try:
                return {"scores": score_file(folder / final, plan, sites)}
            except UnusableNetwork as refusal:
                return {"unusable": str(refusal)}
        case other:
            raise ValueError(f"unknown question {other!r}")


if __name__ == "__main__":
    answer_questions(answer)
