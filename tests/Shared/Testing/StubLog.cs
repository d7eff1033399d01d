namespace Sluice.Testing;

/// <summary>Reads the logs of the stub workers: each process writes its own file, <c>PATH.PID</c>.</summary>
public static class StubLog
{
    /// <summary>Returns all lines of all workers. Only the lines of one worker are in order.</summary>
    public static IEnumerable<string> Lines(string path) => Files(path).SelectMany(File.ReadLines);

    public static void Delete(string path)
    {
        foreach (var file in Files(path)) File.Delete(file);
        File.Delete(path);
    }

    private static IEnumerable<string> Files(string path) =>
        Directory.EnumerateFiles(Path.GetDirectoryName(path)!, Path.GetFileName(path) + ".*");
}
