namespace Sluice.Domain.Schema;

/// <summary>Decides how the leader changes the version of the data in Redis. Pure: everything is passed in.</summary>
public static class SchemaPlan
{
    /// <summary>Returns the next step; null: the version stays.</summary>
    /// <param name="seen">The version, and the gateways with a lease.</param>
    /// <param name="newest">The newest version that the leader supports.</param>
    public static SchemaStep? Decide(SchemaView seen, int newest)
    {
        var now = seen.Schema;
        // Without a lease, not even the leader itself was read.
        if (seen.Gateways.Count == 0) return null;
        if (now.IsRaising)
        {
            return seen.Below(now.Required).Count == 0
                ? new SchemaStep(SchemaStepKind.Activate, now, SchemaNumber.At(now.Required))
                : new SchemaStep(SchemaStepKind.Withdraw, now, SchemaNumber.At(now.Active));
        }

        var next = now.Active + 1;
        return next <= newest && seen.Below(next).Count == 0
            ? new SchemaStep(SchemaStepKind.Prepare, now, new SchemaNumber(now.Active, next))
            : null;
    }
}
