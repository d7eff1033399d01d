using Sluice.Domain.Notation;

namespace Sluice.Domain.Declarations;

public sealed class ScalerConverter()
    : NamedConverter<Scaler>(
        ("SLO", Scaler.Slo), ("REQUEST_COUNT", Scaler.RequestCount), ("QUEUE_DELAY", Scaler.QueueDelay),
        ("CONCURRENCY", Scaler.Concurrency), ("TOKENS", Scaler.Tokens));
