namespace Sluice.Domain.Schema;

/// <summary>What a gateway read about the version of the data in Redis, at one moment.</summary>
/// <param name="Schema">The version.</param>
/// <param name="Gateways">The gateways with a lease.</param>
public sealed record SchemaView(SchemaNumber Schema, IReadOnlyList<GatewaySchema> Gateways)
{
    /// <summary>
    /// The version whose formats may be written. It is lower than the active one while a gateway of an earlier build
    /// runs although it should not.
    /// </summary>
    public int Usable { get; } = Gateways.Select(g => g.Range.Newest).Append(Schema.Active).Min();

    /// <summary>Returns the gateways that do not support a version.</summary>
    public IReadOnlyList<GatewaySchema> Below(int version) => [.. Gateways.Where(g => g.Range.Newest < version)];
}
