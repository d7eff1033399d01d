using System.Diagnostics;
using System.Text.Json;

namespace Sluice.Worker.Models.Cache;

/// <summary>Result of a trial.</summary>
/// <param name="Failure">Null if the copy can be used. Otherwise the reason.</param>
/// <param name="Final">True if another trial of the same copy would have the same result.</param>
internal readonly record struct TrialResult(string? Failure, bool Final);

/// <summary>
/// Compares a model with its copy in a separate process: the worker's program with one argument. ONNX Runtime can crash
/// on a copy that it loads without an error (SIGSEGV, seen with version 1.29 and prepacked weights). Only this
/// process then ends.
/// </summary>
internal static class TrialProcess
{
    /// <summary>The argument that starts the worker's program as a trial.</summary>
    public const string Verb = "try-optimized-copy";

    internal const int Good = 0;
    internal const int Bad = 1;
    internal const int Broken = 2;
    private const int KilledBy = 128;
    private const int Sigkill = 9;

    /// <summary>
    /// Longest duration of a trial: two loads, a warm-up and at most 30 s of runs (<c>CopyTrial</c>) at the
    /// lowest priority. A longer trial hangs.
    /// </summary>
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(10);

    /// <summary>Starts a trial process, waits for its end and returns its result.</summary>
    /// <param name="request">The model and its copy.</param>
    /// <param name="program">Path of the worker's program.</param>
    public static TrialResult Try(TrialRequest request, string program)
    {
        var start = new ProcessStartInfo(program, [Verb])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var child = Process.Start(start)!;
        // ONNX Runtime writes an error to standard error for each rejected input.
        child.ErrorDataReceived += (_, _) => { };
        child.BeginErrorReadLine();
        try
        {
            child.StandardInput.WriteLine(JsonSerializer.Serialize(request, CacheJson.Default.TrialRequest));
            child.StandardInput.Flush();
        }
        catch (IOException)
        {
            // The process exited before it read its request. Its exit code shows the reason.
        }

        var output = child.StandardOutput.ReadToEndAsync();
        if (!child.WaitForExit(Limit))
        {
            child.Kill();
            return new TrialResult($"its trial run did not end within {Limit.TotalMinutes:0} min", Final: false);
        }

        return Interpret(child.ExitCode, output.GetAwaiter().GetResult().Trim());
    }

    /// <summary>
    /// Interprets the exit code; pure. If the process was killed (by the kernel for memory, or together with its
    /// worker), the result says nothing about the copy.
    /// </summary>
    internal static TrialResult Interpret(int exitCode, string output) => exitCode switch
    {
        Good => new TrialResult(null, Final: false),
        Bad => new TrialResult(output, Final: true),
        KilledBy + Sigkill => new TrialResult("its trial run was killed", Final: false),
        > KilledBy => new TrialResult($"its run ended the process by signal {exitCode - KilledBy}", Final: true),
        _ => new TrialResult($"its trial exited with code {exitCode}: {output}", Final: false),
    };
}
