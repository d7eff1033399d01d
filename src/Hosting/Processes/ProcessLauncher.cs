using System.Diagnostics;
using System.Runtime.InteropServices;
using Sluice.Shared;

namespace Sluice.Hosting.Processes;

/// <summary>Starts and signals processes that end with the gateway, each in a session of its own.</summary>
internal sealed partial class ProcessLauncher
{
    public const int Sigkill = 9;
    public const int Sigterm = 15;

    private readonly ProcessSpawner spawner = new();

    // setpriv ends the process with the gateway, even after kill -9. setsid puts it into its own session, so that a
    // terminal's Ctrl-C does not reach it.
    private readonly string[] wrapper = File.Exists("/usr/bin/setpriv") && File.Exists("/usr/bin/setsid")
        ? ["/usr/bin/setpriv", "--pdeathsig", "KILL", "--", "/usr/bin/setsid"] : [];

    /// <summary>Whether this machine has the programs for it. Otherwise processes may outlive the gateway.</summary>
    public bool EndsWithGateway => wrapper.Length > 0;

    /// <summary>Starts a process with redirected streams.</summary>
    /// <param name="command">Program and arguments.</param>
    /// <param name="env">Its variables, in addition to those that every child process gets.</param>
    /// <param name="folder">Its working directory.</param>
    /// <exception cref="InvalidOperationException">It cannot be started.</exception>
    public async Task<Process> StartAsync(
        IReadOnlyList<string> command,
        IReadOnlyDictionary<string, string> env,
        string folder)
    {
        string[] all = [.. wrapper, .. command];
        var start = new ProcessStartInfo(all[0], all[1..])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = folder,
        };
        ChildEnvironment.Clean(start.Environment);
        foreach (var (name, value) in env) start.Environment[name] = value;
        try
        {
            return await spawner.StartAsync(start);
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"cannot start '{command[^1]}': {e.Message}", e);
        }
    }

    /// <summary>Sends a signal to a process. SIGKILL is also sent to all processes of its session.</summary>
    public void Signal(int process, int signal)
    {
        if (signal == Sigkill) KillChildren(process);
        _ = KillProcess(process, signal);
    }

    /// <summary>Kills the processes of a session, whose first process may have exited.</summary>
    public void KillChildren(int process)
    {
        if (wrapper.Length > 0) _ = KillProcess(-process, Sigkill);
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int KillProcess(int pid, int signal);
}
