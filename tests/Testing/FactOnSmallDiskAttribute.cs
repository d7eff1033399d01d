using Xunit;

namespace Sluice.Testing;

/// <summary>
/// A test that requires a <see cref="SmallDisk"/>. It is skipped, with the reason, if none can be mounted.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class FactOnSmallDiskAttribute : FactAttribute
{
    public FactOnSmallDiskAttribute() => Skip = SmallDisk.WhyNot;
}
