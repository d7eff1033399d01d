namespace Sluice.Testing;

/// <summary>What the stub workers wrote down: each process into a file of its own, <c>PATH.PID</c>.</summary>
public static class StubLog
{
    /// <summary>All lines of all workers; in order within one worker only.</summary>
    public static IEnumerable<string> Lines(string path) => Files(path).SelectMany(File.ReadLines);

    public static void Delete(string path)
    {
        foreach (var file in Files(path)) File.Delete(file);
        File.Delete(path);
    }

    private static IEnumerable<string> Files(string path) => Directory.EnumerateFiles(Path.GetDirectoryName(path)!, Path.GetFileName(path) + ".*");
}
