namespace Sluice.Shared;

/// <summary>
/// Defines which of the gateway's environment variables its child processes inherit: none that can hold a secret. Pure.
/// </summary>
public static class ChildEnvironment
{
    private static readonly string[] Passed =
        ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "DOTNET_ROOT", "LD_LIBRARY_PATH"];

    private static readonly string[] PassedPrefixes = ["NVIDIA_", "CUDA_"];

    /// <summary>Removes every other variable from an environment that starts as a copy of the gateway's.</summary>
    public static void Clean(IDictionary<string, string?> environment)
    {
        foreach (var name in environment.Keys.ToList())
            if (!Passed.Contains(name) && !PassedPrefixes.Any(p => name.StartsWith(p, StringComparison.Ordinal)))
                environment.Remove(name);
    }
}
