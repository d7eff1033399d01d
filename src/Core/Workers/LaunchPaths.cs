namespace Sluice.Core.Workers;

/// <summary>
/// Makes relative paths of a declaration absolute: a worker starts in an empty folder, and operators write paths as the gateway sees them. Pure.
/// </summary>
/// <param name="folder">The gateway's working directory.</param>
/// <param name="exists">Whether a file or folder exists.</param>
internal sealed class LaunchPaths(string folder, Func<string, bool> exists)
{
    /// <summary>Variables of the built-in worker that hold one path.</summary>
    private static readonly string[] OnePath = ["SLUICE_MODEL_REPOSITORY", "SLUICE_MODEL_CACHE", "SLUICE_TENSORRT_CACHE"];

    /// <summary>Variables that hold paths with ':' between them.</summary>
    private static readonly string[] PathLists = ["SLUICE_CUDA_LIBRARY_PATH"];

    /// <summary>Of this process.</summary>
    public static LaunchPaths OfProcess() => new(Environment.CurrentDirectory, Path.Exists);

    /// <summary>
    /// The program, where it is written with a '/' (others are searched in PATH), and arguments that are written as paths (with '/' or '.') and exist.
    /// Any other text stays as it is.
    /// </summary>
    public IReadOnlyList<string> Command(IReadOnlyList<string> command) =>
        [.. command.Select((part, at) => at == 0 ? part.Contains('/') ? Absolute(part) : part : IsPath(part) && exists(Absolute(part)) ? Absolute(part) : part)];

    /// <summary>The variables of the built-in worker that are paths.</summary>
    public void Complete(IDictionary<string, string> environment)
    {
        foreach (var name in OnePath)
            if (environment.TryGetValue(name, out var path) && path.Length > 0) environment[name] = Absolute(path);
        foreach (var name in PathLists)
            if (environment.TryGetValue(name, out var list))
                environment[name] = string.Join(':', list.Split(':').Select(p => p.Length == 0 ? p : Absolute(p)));
    }

    private static bool IsPath(string part) => (part.Contains('/') || part.Contains('.')) && !part.StartsWith('-') && !part.Contains("://", StringComparison.Ordinal);

    private string Absolute(string path) => Path.GetFullPath(path, folder);
}
