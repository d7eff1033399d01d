using System.Diagnostics.Metrics;

namespace Sluice.Core;

/// <summary>The one meter of this project; instruments are made where they are recorded.</summary>
public static class CoreMeter
{
    public static readonly Meter Meter = new("Sluice.Core");
}
