namespace Sluice.ControlPlane.Leadership;

/// <summary>Changes data in Redis before a version becomes active.</summary>
/// <param name="Version">The version.</param>
/// <param name="RunAsync">
/// Changes the data while gateways of the version before read and write it. It may run again after it was interrupted,
/// or while an earlier leader still runs it, so a second run must change nothing.
/// </param>
internal sealed record SchemaMigration(int Version, Func<CancellationToken, Task> RunAsync);
