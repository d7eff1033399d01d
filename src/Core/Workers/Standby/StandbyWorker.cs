using System.Diagnostics;
using System.Text.Json;

namespace Sluice.Core.Workers.Standby;

/// <summary>One process of the built-in worker that stands by.</summary>
internal sealed class StandbyWorker : IDisposable
{
    /// <summary>What the worker says when it is ready to be handed its models.</summary>
    private const string Says = "standing by";

    private readonly LastLines output = new();
    private volatile bool ready;

    public StandbyWorker(Process process, WorkFolder folder, StandbyKind kind, DateTimeOffset started)
    {
        Process = process;
        Folder = folder;
        Kind = kind;
        StartedAt = started;
        Output = new ProcessOutput(process, Hear);
    }

    public Process Process { get; }

    /// <summary>Its working directory; the pod's after <see cref="TryHandOver"/>.</summary>
    public WorkFolder Folder { get; }

    /// <summary>What it writes.</summary>
    public ProcessOutput Output { get; }

    public StandbyKind Kind { get; }

    public DateTimeOffset StartedAt { get; }

    /// <summary>It has rehearsed and waits.</summary>
    public bool Ready => ready && !Process.HasExited;

    public IReadOnlyList<string> LastOutput => output.Snapshot();

    /// <summary>Makes it a pod: hands it the pod's own variables. Its process is the caller's then. False: it was dead.</summary>
    public bool TryHandOver(IReadOnlyDictionary<string, string> pod)
    {
        try
        {
            Process.StandardInput.WriteLine(JsonSerializer.Serialize(pod.ToDictionary(), PodJson.Default.DictionaryStringString));
            Process.StandardInput.Close();
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>Ends it: without its input it has nothing to wait for.</summary>
    public void Dispose()
    {
        if (!Process.HasExited) Process.Kill();
        Process.Dispose();
        Folder.Dispose();
    }

    private void Hear(string line)
    {
        output.Add(line);
        if (line == Says) ready = true;
    }
}
