namespace Sluice.Worker.Providers;

/// <summary>
/// Keeps the marks of this process for loads of cached TensorRT engines, one per folder. TensorRT can crash on an
/// engine that it built earlier. A worker that finds the mark of such a crash deletes the engine, and TensorRT builds
/// it again.
/// </summary>
internal static class EngineMarks
{
    private const string Name = "engine";

    private static readonly Lock Gate = new();
    private static readonly List<LoadMark> Marks = [];
    private static bool stopped;

    /// <summary>
    /// Deletes the engines of a folder if their load ended an earlier process, and creates the mark of this process.
    /// </summary>
    /// <param name="folder">An existing folder with engines of one identity.</param>
    public static void MarkLoad(string folder)
    {
        if (LoadMark.TakeDead(folder, Name) is not null)
            foreach (var engine in Directory.EnumerateFiles(folder)
                .Where(f => !Path.GetFileName(f).StartsWith($"{Name}.", StringComparison.Ordinal)).ToList())
                File.Delete(engine);
        lock (Gate)
            if (!stopped)
                Marks.Add(LoadMark.Create(folder, Name, TimeProvider.System));
    }

    /// <summary>Deletes all marks, because the models of all engines so far ran.</summary>
    public static void Confirm()
    {
        lock (Gate)
        {
            foreach (var mark in Marks) mark.Dispose();
            Marks.Clear();
        }
    }

    /// <summary>
    /// Deletes all marks and creates no more. The worker is stopping, and a kill after its grace period says nothing
    /// about an engine.
    /// </summary>
    public static void Stop()
    {
        lock (Gate) stopped = true;
        Confirm();
    }
}
