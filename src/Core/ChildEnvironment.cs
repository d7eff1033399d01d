namespace Sluice.Core;

/// <summary>What of the gateway's own environment its children get: nothing that is secret. Pure.</summary>
public static class ChildEnvironment
{
    private static readonly string[] Passed =
        ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "DOTNET_ROOT", "LD_LIBRARY_PATH"];

    private static readonly string[] PassedPrefixes = ["NVIDIA_", "CUDA_"];

    /// <summary>Takes everything else out of an environment that begins as the gateway's.</summary>
    public static void Clean(IDictionary<string, string?> environment)
    {
        foreach (var name in environment.Keys.ToList())
            if (!Passed.Contains(name) && !PassedPrefixes.Any(p => name.StartsWith(p, StringComparison.Ordinal)))
                environment.Remove(name);
    }
}
