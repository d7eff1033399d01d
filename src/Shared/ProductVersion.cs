using System.Reflection;

namespace Sluice.Shared;

/// <summary>The version of this build, which all programs of Sluice have in common.</summary>
public static class ProductVersion
{
    /// <summary>The version with the commit, such as 1.2.0+0f1e2d3; empty: the build has none.</summary>
    public static string Full { get; } = typeof(ProductVersion).Assembly
        .GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "";

    /// <summary>The version without the commit.</summary>
    public static string Number { get; } = Full.Split('+')[0];
}
