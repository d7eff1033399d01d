using Xunit;

namespace Sluice.Testing;

/// <summary>A test that needs a <see cref="SmallDisk"/>; it is skipped, with the reason, where none can be mounted.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class FactOnSmallDiskAttribute : FactAttribute
{
    public FactOnSmallDiskAttribute() => Skip = SmallDisk.WhyNot;
}
