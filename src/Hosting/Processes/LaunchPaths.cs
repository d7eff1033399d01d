namespace Sluice.Hosting.Processes;

/// <summary>
/// Makes relative paths of a declaration absolute, because a worker starts in an empty folder while operators write
/// paths relative to the gateway. Pure.
/// </summary>
/// <param name="folder">The gateway's working directory.</param>
/// <param name="exists">Whether a file or folder exists.</param>
internal sealed class LaunchPaths(string folder, Func<string, bool> exists)
{
    /// <summary>Variables of the built-in worker that contain one path.</summary>
    private static readonly string[] OnePath =
        ["SLUICE_MODEL_REPOSITORY", "SLUICE_MODEL_CACHE", "SLUICE_TENSORRT_CACHE"];

    /// <summary>Variables that contain paths separated by ':'.</summary>
    private static readonly string[] PathLists = ["SLUICE_CUDA_LIBRARY_PATH"];

    /// <summary>Creates an instance for this process: its working directory and its file system.</summary>
    public static LaunchPaths ForProcess() => new(Environment.CurrentDirectory, Path.Exists);

    /// <summary>
    /// Returns a command with absolute paths: the program, if it contains a '/' (other programs are searched in PATH),
    /// and arguments that look like paths (with '/' or '.') and exist. Any other text is unchanged.
    /// </summary>
    public IReadOnlyList<string> Command(IReadOnlyList<string> command) => [.. command.Select(Resolve)];

    /// <summary>Makes the path variables of the built-in worker absolute.</summary>
    public void Complete(IDictionary<string, string> environment)
    {
        foreach (var name in OnePath)
            if (environment.TryGetValue(name, out var path) && path.Length > 0) environment[name] = Absolute(path);
        foreach (var name in PathLists)
            if (environment.TryGetValue(name, out var list))
                environment[name] = string.Join(':', list.Split(':').Select(p => p.Length == 0 ? p : Absolute(p)));
    }

    private string Resolve(string part, int position)
    {
        if (position == 0) return part.Contains('/') ? Absolute(part) : part;
        return IsPath(part) && exists(Absolute(part)) ? Absolute(part) : part;
    }

    private static bool IsPath(string part) =>
        (part.Contains('/') || part.Contains('.')) && !part.StartsWith('-')
        && !part.Contains("://", StringComparison.Ordinal);

    private string Absolute(string path) => Path.GetFullPath(path, folder);
}
