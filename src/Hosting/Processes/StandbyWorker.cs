using System.Diagnostics;
using System.Text.Json;
using Sluice.Domain.Fleet;

namespace Sluice.Hosting.Processes;

/// <summary>One standby process of the built-in worker.</summary>
internal sealed class StandbyWorker : IDisposable
{
    /// <summary>The line that the worker prints when it is ready to receive its pod's variables.</summary>
    private const string ReadyLine = "standing by";

    private readonly OutputTail output = new();
    private volatile bool ready;

    public StandbyWorker(Process process, WorkFolder folder, StandbyProfile kind, DateTimeOffset started)
    {
        Process = process;
        Folder = folder;
        Kind = kind;
        StartedAt = started;
        Output = new ProcessOutput(process, OnLine);
    }

    public Process Process { get; }

    /// <summary>Its working directory, which becomes the pod's after <see cref="TryHandOver"/>.</summary>
    public WorkFolder Folder { get; }

    /// <summary>The reader of its output.</summary>
    public ProcessOutput Output { get; }

    public StandbyProfile Kind { get; }

    public DateTimeOffset StartedAt { get; }

    /// <summary>Whether it has completed its warm-up run and still runs.</summary>
    public bool Ready => ready && !Process.HasExited;

    public IReadOnlyList<string> LastOutput => output.Snapshot();

    /// <summary>
    /// Turns it into a pod: sends it the pod's own variables. The caller then owns the process. Returns false if the
    /// process has exited.
    /// </summary>
    public bool TryHandOver(IReadOnlyDictionary<string, string> pod)
    {
        try
        {
            var variables = JsonSerializer.Serialize(pod.ToDictionary(), PodJson.Default.DictionaryStringString);
            Process.StandardInput.WriteLine(variables);
            Process.StandardInput.Close();
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>Kills the process and deletes its working directory.</summary>
    public void Dispose()
    {
        if (!Process.HasExited) Process.Kill();
        Process.Dispose();
        Folder.Dispose();
    }

    private void OnLine(string line)
    {
        output.Add(line);
        if (line == ReadyLine) ready = true;
    }
}
