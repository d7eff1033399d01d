using Sluice.Worker.Models.Cache;

namespace Sluice.Worker.Providers;

/// <summary>
/// Marks of loads of kept TensorRT engines, one for each folder. TensorRT can crash on an engine that it built earlier; a worker that finds the mark
/// of such a crash deletes the engine, and TensorRT builds it again. The owner of this process' marks.
/// </summary>
internal static class EngineMarks
{
    private const string Name = "engine";

    private static readonly Lock Gate = new();
    private static readonly List<LoadMark> Marks = [];
    private static bool stopped;

    /// <summary>Deletes the engines of a folder where their load ended an earlier process, and marks the load of this one.</summary>
    /// <param name="folder">An existing folder of engines of one identity.</param>
    public static void Begin(string folder)
    {
        if (LoadMark.TakeDead(folder, Name) is not null)
            foreach (var engine in Directory.EnumerateFiles(folder).Where(f => !Path.GetFileName(f).StartsWith($"{Name}.", StringComparison.Ordinal)).ToList())
                File.Delete(engine);
        lock (Gate)
            if (!stopped)
                Marks.Add(LoadMark.Create(folder, Name, TimeProvider.System));
    }

    /// <summary>The models of all engines so far ran.</summary>
    public static void Confirm()
    {
        lock (Gate)
        {
            foreach (var mark in Marks) mark.Dispose();
            Marks.Clear();
        }
    }

    /// <summary>The worker was asked to stop: a kill after its grace says nothing about an engine.</summary>
    public static void Stop()
    {
        lock (Gate) stopped = true;
        Confirm();
    }
}
