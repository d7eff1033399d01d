using Sluice.Domain.Notation;

namespace Sluice.Domain.Declarations;

public sealed class PullPolicyConverter()
    : NamedConverter<PullPolicy>(
        ("missing", PullPolicy.Missing), ("always", PullPolicy.Always), ("never", PullPolicy.Never));
