"""The wire format of requests and answers, for gateway and client; see docs/api.md.

options, answer   of an inspection
model             what is served
records           what was inspected, and what persons say of it
criterion         what decides where a request does not say
teaching          proposals of another version
sinks             what becomes of decisions on their way to a plant
words             what these have in common
"""

from onegauge.schemas.answer import (
    HIGH,
    LOW,
    Answer,
    Box,
    Decision,
    Encoding,
    Explanation,
    MapAnswer,
    Normal,
    NormalPatch,
    PartDecision,
    PartWord,
    Polygon,
    ProblemDetails,
    ReferenceAnswer,
    RegionAnswer,
    Rejection,
    Scale,
)
from onegauge.schemas.criterion import CriterionCard, NewCriterion, SavedCriterion
from onegauge.schemas.model import ModelCard, ModelVersion, Readiness, RefusedVersion
from onegauge.schemas.options import Options
from onegauge.schemas.records import (
    Inspected,
    InspectedPage,
    Inspection,
    Judgement,
    NewJudgement,
    Search,
)
from onegauge.schemas.sinks import SinkList, SinkState, SinkSwitch
from onegauge.schemas.teaching import (
    Hindrance,
    NewProposal,
    NewState,
    NextState,
    Proposal,
    ProposalList,
    ProposalState,
    ProposalStep,
    Trial,
)
from onegauge.schemas.words import LINE_MAX_LENGTH, NO_LINE, Opinion, Verdict

__all__ = [
    "Answer",
    "Box",
    "CriterionCard",
    "Decision",
    "Encoding",
    "Explanation",
    "HIGH",
    "Hindrance",
    "Inspected",
    "InspectedPage",
    "Inspection",
    "Judgement",
    "LINE_MAX_LENGTH",
    "LOW",
    "MapAnswer",
    "ModelCard",
    "ModelVersion",
    "NO_LINE",
    "NewCriterion",
    "NewJudgement",
    "NewProposal",
    "NewState",
    "NextState",
    "Normal",
    "NormalPatch",
    "Opinion",
    "Options",
    "PartDecision",
    "PartWord",
    "Polygon",
    "ProblemDetails",
    "Proposal",
    "ProposalList",
    "ProposalState",
    "ProposalStep",
    "Readiness",
    "ReferenceAnswer",
    "RefusedVersion",
    "RegionAnswer",
    "Rejection",
    "SavedCriterion",
    "Scale",
    "Search",
    "SinkList",
    "SinkState",
    "SinkSwitch",
    "Trial",
    "Verdict",
]
