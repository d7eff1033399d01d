using Sluice.Storage.Usage;

namespace Sluice.ControlPlane.Leadership;

/// <summary>The migrations of this build, in the order of their versions.</summary>
internal sealed class SchemaMigrations(IReadOnlyList<SchemaMigration> all)
{
    /// <summary>
    /// Returns the migrations of the product. Version 3: builds of version 2 without usage ended jobs that are only
    /// counted. From now on the check of all endpoints finds no difference.
    /// </summary>
    /// <param name="ledger">The usage.</param>
    public static SchemaMigrations Create(UsageLedger ledger) => new(
    [
        new SchemaMigration(3, async ct =>
        {
            foreach (var endpoint in await ledger.EndpointsAsync(ct)) await ledger.SettleAsync(endpoint, ct);
        }),
    ]);

    /// <summary>Runs the migrations of a version.</summary>
    public async Task RunAsync(int version, CancellationToken ct)
    {
        foreach (var migration in all.Where(m => m.Version == version)) await migration.RunAsync(ct);
    }
}
