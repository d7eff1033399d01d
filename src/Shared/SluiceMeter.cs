using System.Diagnostics.Metrics;

namespace Sluice.Shared;

/// <summary>
/// Holds the meter of the projects below the gateway. Each instrument is created in the class that records it.
/// </summary>
public static class SluiceMeter
{
    public static readonly Meter Meter = new("Sluice");
}
