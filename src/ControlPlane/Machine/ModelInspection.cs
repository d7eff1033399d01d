using Sluice.Hosting.Processes;

namespace Sluice.ControlPlane.Machine;

/// <summary>
/// Checks the files of a model with the built-in worker's <c>inspect</c> command, in a separate process: the files are
/// not trusted.
/// </summary>
public sealed class ModelInspection(BuiltInWorker worker, TimeProvider time)
{
    /// <summary>Time limit of the command. It reads each byte of a graph once, and skips weights.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    /// <summary>Characters of a reason that are reported: it can have names from the files.</summary>
    private const int MaxReason = 2000;

    /// <summary>Returns why the files cannot be served; null: the built-in worker accepts them.</summary>
    /// <exception cref="InvalidOperationException">The command cannot be run.</exception>
    public async Task<string?> FindProblemAsync(string folder, CancellationToken ct)
    {
        using var limit = new CancellationTokenSource(Patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, limit.Token);
        try
        {
            string[] arguments = [.. worker.Command.Skip(1), "inspect", folder];
            var run = await ProgramRun.RunAsync(worker.Command[0], arguments, "/", either.Token);
            return run.ExitCode switch
            {
                0 => null,
                1 => Shorten(run.Output.Trim()),
                _ => $"the inspection ended with exit code {run.ExitCode}: {Shorten(run.Error.Trim())}",
            };
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return $"the inspection did not end within {Patience.TotalMinutes:0} min";
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new InvalidOperationException(
                $"the built-in worker (SLUICE_WORKER) cannot be started to inspect the model: {e.Message}", e);
        }
    }

    private static string Shorten(string text) => text.Length > MaxReason ? text[..MaxReason] + "..." : text;
}
