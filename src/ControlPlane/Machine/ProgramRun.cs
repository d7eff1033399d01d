using System.Diagnostics;
using System.Text;
using Sluice.Shared;

namespace Sluice.ControlPlane.Machine;

/// <summary>The result of a program that has ended.</summary>
/// <param name="ExitCode">The exit code.</param>
/// <param name="Output">The start of its standard output.</param>
/// <param name="Error">The start of its standard error.</param>
internal readonly record struct ProgramRun(int ExitCode, string Output, string Error)
{
    /// <summary>
    /// Characters of each stream that are kept; the rest is read and discarded. The inventory of nvidia-smi on a
    /// machine with 16 GPUs, and the doctor's report, have some ten thousand.
    /// </summary>
    public const int MaxOutput = 1 << 20;

    /// <summary>
    /// Runs a program with the environment of workers, until it ends. Kills the program if the call is cancelled.
    /// </summary>
    /// <param name="program">The program.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="folder">Its working directory; empty: that of the gateway.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <exception cref="System.ComponentModel.Win32Exception">The program cannot be started.</exception>
    public static async Task<ProgramRun> RunAsync(
        string program,
        IEnumerable<string> arguments,
        string folder,
        CancellationToken ct)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder,
        };
        ChildEnvironment.Clean(start.Environment);
        using var process = Process.Start(start)!;
        try
        {
            var output = ReadStartAsync(process.StandardOutput, ct);
            var error = ReadStartAsync(process.StandardError, ct);
            await process.WaitForExitAsync(ct);
            return new ProgramRun(process.ExitCode, await output, await error);
        }
        finally
        {
            Kill(process);
        }
    }

    private static void Kill(Process process)
    {
        try
        {
            if (!process.HasExited) process.Kill();
        }
        catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            // The program has ended, or the kernel does not permit the signal. The caller gets its own result.
        }
    }

    /// <summary>
    /// Reads a stream to its end, so that the program never blocks, and returns the start of the text.
    /// </summary>
    private static async Task<string> ReadStartAsync(StreamReader reader, CancellationToken ct)
    {
        var (text, buffer) = (new StringBuilder(), new char[4096]);
        while (await reader.ReadAsync(buffer, ct) is > 0 and var read)
            text.Append(buffer, 0, Math.Min(read, MaxOutput - text.Length));
        return text.ToString();
    }
}
