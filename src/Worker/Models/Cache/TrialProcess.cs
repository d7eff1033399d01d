using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Models.Cache;

/// <summary>What a trial compares.</summary>
/// <param name="Original">Path of model.onnx.</param>
/// <param name="Copy">Path of its copy's model.onnx.</param>
internal sealed record TrialRequest(string Original, string Copy);

/// <summary>What came out of a trial.</summary>
/// <param name="Failure">Null: the copy may be used; else the reason.</param>
/// <param name="Final">Another trial of the same copy would end in the same way.</param>
internal readonly record struct TrialResult(string? Failure, bool Final);

/// <summary>
/// <see cref="CopyTrial"/> as a separate process: the worker's program with one argument. ONNX Runtime can crash on a copy that it loads without an
/// error (SIGSEGV, seen with version 1.29 and prepacked weights), and then only this process ends.
/// </summary>
internal static class TrialProcess
{
    /// <summary>The argument that makes a worker's program a trial.</summary>
    public const string Verb = "try-optimised-copy";

    private const int Good = 0, Bad = 1, Broken = 2, KilledBy = 128, Sigkill = 9;

    /// <summary>Two loads, a warm-up and at most 30 s of runs (<see cref="CopyTrial"/>) at the lowest priority. A longer one hangs.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(10);

    /// <summary>The child's side; returns its exit code.</summary>
    public static int Run()
    {
        if (Console.In.ReadLine() is not { } line || JsonSerializer.Deserialize(line, CacheJson.Default.TrialRequest) is not { } request) return Broken;
        MakerProcess.EndWithParent();
        try
        {
            if (CopyTrial.Run(request.Original, request.Copy) is not { } wrong) return Good;
            Console.WriteLine(wrong);
            return Bad;
        }
        catch (Exception e) when (e is OnnxRuntimeException or InvalidOperationException or NotSupportedException or InvalidDataException)
        {
            Console.WriteLine($"it cannot be loaded or run: {e.Message.ReplaceLineEndings(" ")}");
            return Bad;
        }
    }

    /// <summary>Starts a child, waits for its end and returns what it found.</summary>
    /// <param name="request">What to compare.</param>
    /// <param name="program">The worker's program.</param>
    public static TrialResult Try(TrialRequest request, string program)
    {
        var start = new ProcessStartInfo(program, [Verb]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        using var child = Process.Start(start)!;
        // ONNX Runtime reports each refused input there.
        child.ErrorDataReceived += (_, _) => { };
        child.BeginErrorReadLine();
        try
        {
            child.StandardInput.WriteLine(JsonSerializer.Serialize(request, CacheJson.Default.TrialRequest));
            child.StandardInput.Flush();
        }
        catch (IOException)
        {
            // It ended before it read its request; its exit code says why.
        }

        var output = child.StandardOutput.ReadToEndAsync();
        if (!child.WaitForExit(Limit))
        {
            child.Kill();
            return new TrialResult($"its trial run did not end within {Limit.TotalMinutes:0} min", Final: false);
        }

        return Judge(child.ExitCode, output.GetAwaiter().GetResult().Trim());
    }

    /// <summary>Pure. A process that was killed (by the kernel for memory, or with its worker) says nothing about the copy.</summary>
    internal static TrialResult Judge(int exitCode, string output) => exitCode switch
    {
        Good => new TrialResult(null, Final: false),
        Bad => new TrialResult(output, Final: true),
        KilledBy + Sigkill => new TrialResult("its trial run was killed", Final: false),
        > KilledBy => new TrialResult($"its run ended the process by signal {exitCode - KilledBy}", Final: true),
        _ => new TrialResult($"its trial ended with exit code {exitCode}: {output}", Final: false),
    };
}
