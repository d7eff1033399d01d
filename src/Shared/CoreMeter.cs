using System.Diagnostics.Metrics;

namespace Sluice.Shared;

/// <summary>Holds the only meter of this project. Each instrument is created in the class that records it.</summary>
public static class CoreMeter
{
    public static readonly Meter Meter = new("Sluice.Core");
}
