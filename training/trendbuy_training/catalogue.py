"""The demo model's contract: its features in training order, their reasons, and the bands."""

from dataclasses import asdict, dataclass

NAME = "trendbuy_xgb"
VERSION = "trendbuy_xgb_v1.0.0"
DESCRIPTION = "Probability that a customer regrets a TrendBuy order, trained on ordergen's synthetic world"

MEDIUM_THRESHOLD = 0.4
HIGH_THRESHOLD = 0.65

CATEGORIES = ["app", "desktop", "mobile", "tablet"]


@dataclass(frozen=True)
class Reason:
    """The catalogue's texts for a contribution of one feature, and the code that stays when texts change."""

    code: str
    raises: str
    lowers: str
    missing: str


@dataclass(frozen=True)
class Feature:
    """One feature of the contract.

    monotone is 1 or -1 where a reason's text claims a level ("High", "Deep", "Low", "Poor"): training is
    then bound so that the text cannot be untrue, and 0 elsewhere.
    """

    name: str
    description: str
    required: bool
    reason: Reason
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    monotone: int = 0
    category: bool = False


FEATURES = [
    Feature(
        "feature_discount_pct",
        "Discount of the order",
        required=True,
        unit="fraction of the list price",
        minimum=0,
        maximum=1,
        monotone=1,
        reason=Reason("DISCOUNT", "Deep discount", "Little or no discount", "Discount not known"),
    ),
    Feature(
        "feature_velocity_24h",
        "Units of the trend sold in the last 24 hours",
        required=True,
        unit="units in 24 hours",
        minimum=0,
        monotone=1,
        reason=Reason("TREND_VELOCITY", "High trend velocity", "Low trend velocity", "Trend velocity not known"),
    ),
    Feature(
        "feature_hours_since_trend_peak",
        "Time since the trend's peak, negative before it",
        required=True,
        unit="hours",
        monotone=1,
        reason=Reason("TREND_TIMING", "Late trend purchase timing", "Early trend purchase timing", "Trend peak not known"),
    ),
    Feature(
        "feature_creator_reliability",
        "Share of the creator's past recommendations that kept their promise; missing for a new creator",
        required=False,
        unit="fraction",
        minimum=0,
        maximum=1,
        monotone=-1,
        reason=Reason("CREATOR_RELIABILITY", "Low creator reliability", "High creator reliability", "New creator"),
    ),
    Feature(
        "feature_cust_prior_return_rate_90d",
        "Share of the customer's orders of 90 days that were returned; missing without orders",
        required=False,
        unit="fraction",
        minimum=0,
        maximum=1,
        monotone=1,
        reason=Reason(
            "PRIOR_RETURNS",
            "Prior customer return behavior",
            "Few prior customer returns",
            "No purchase history",
        ),
    ),
    Feature(
        "feature_cust_avg_order_value_90d",
        "Mean value of the customer's orders of 90 days; missing without orders",
        required=False,
        unit="shop currency",
        minimum=0,
        monotone=-1,
        reason=Reason(
            "ORDER_VALUE",
            "Low average order value",
            "High average order value",
            "No order value history",
        ),
    ),
    Feature(
        "feature_prod_size_fit_rate",
        "Share of the product's buyers whom it fitted; missing for a new product",
        required=False,
        unit="fraction",
        minimum=0,
        maximum=1,
        monotone=-1,
        reason=Reason("SIZE_FIT", "Poor product size fit", "Good product size fit", "New product"),
    ),
    Feature(
        "feature_device_type",
        "Device that the order was placed on",
        required=True,
        category=True,
        reason=Reason(
            "DEVICE_TYPE",
            "Device type with more regretted orders",
            "Device type with fewer regretted orders",
            "Device type not known",
        ),
    ),
]

NAMES = [feature.name for feature in FEATURES]

# DESIGN's example, as /score takes it.
EXAMPLE = {
    "feature_discount_pct": 0.35,
    "feature_velocity_24h": 8420,
    "feature_hours_since_trend_peak": 6.5,
    "feature_creator_reliability": 0.22,
    "feature_cust_prior_return_rate_90d": 0.31,
    "feature_cust_avg_order_value_90d": 127.5,
    "feature_prod_size_fit_rate": 0.18,
    "feature_device_type": "mobile",
}


def contract() -> dict:
    """The catalogue in the form of a contract file, which is that of the manifest."""
    return {
        "name": NAME,
        "description": DESCRIPTION,
        "features": [_entry(feature) for feature in FEATURES],
        "thresholds": {"medium": MEDIUM_THRESHOLD, "high": HIGH_THRESHOLD},
    }


def _entry(feature: Feature) -> dict:
    entry: dict = {
        "name": feature.name,
        "type": "category" if feature.category else "number",
        "unit": feature.unit,
        "description": feature.description,
        "policy": "required" if feature.required else "optional",
    }
    allowed = {"min": feature.minimum, "max": feature.maximum}
    allowed = {side: bound for side, bound in allowed.items() if bound is not None}
    if feature.category:
        entry["categories"] = CATEGORIES
    elif allowed:
        entry["allowed"] = allowed
    return entry | {"reason": asdict(feature.reason)}
