namespace Sluice.Domain.Schema;

/// <summary>The steps in which the leader raises the version of the data.</summary>
public enum SchemaStepKind
{
    /// <summary>Gateways that do not support the next version can no longer start.</summary>
    Prepare,

    /// <summary>The data is migrated, and the next version becomes active.</summary>
    Activate,

    /// <summary>A gateway that does not support the next version runs, so the version is not raised now.</summary>
    Withdraw,
}
