using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Models.Cache;

/// <summary>
/// Runs <see cref="ModelOptimizer"/> in a separate process: the worker's program with one argument. The process reads
/// its request as one line from standard input and exits when standard input is closed, so it never outlives its
/// worker. It runs at the lowest priority, and the kernel kills it first when memory runs out.
/// </summary>
public static partial class OptimizerProcess
{
    /// <summary>The argument that starts the worker's program as a maker.</summary>
    public const string Verb = "make-optimized-copy";

    private const int Made = 0, NotMade = 1;

    /// <summary>Entry point of the maker process. Returns its exit code.</summary>
    public static int Run()
    {
        YieldToOthers();
        var request = Console.In.ReadLine() is { } line
            ? JsonSerializer.Deserialize(line, CacheJson.Default.MakeRequest)
            : null;
        if (request is null) return NotMade;
        EndWithParent();
        try
        {
            var conditions = CacheConditions.Here(request.Providers);
            Console.WriteLine(ModelOptimizer.Make(request, conditions, TimeProvider.System, AvailableMemory.Bytes()));
            return Made;
        }
        catch (Exception e)
            when (e is IOException or UnauthorizedAccessException or OnnxRuntimeException or Win32Exception)
        {
            Console.WriteLine($"{request.Model}: no optimized copy: {e.Message}");
            return NotMade;
        }
    }

    /// <summary>Starts a maker process, waits for it and returns its output. Cancellation kills the process.</summary>
    internal static async Task<string> MakeAsync(MakeRequest request, string program, CancellationToken ct)
    {
        var line = JsonSerializer.Serialize(request, CacheJson.Default.MakeRequest);
        var start = new ProcessStartInfo(program, [Verb])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        start.Environment.Remove("SLUICE_POD_TOKEN");
        using var child = Process.Start(start)!;
        using var killed = ct.Register(() => child.Kill());
        try
        {
            await child.StandardInput.WriteLineAsync(line.AsMemory(), ct);
            await child.StandardInput.FlushAsync(ct);
            var said = await child.StandardOutput.ReadToEndAsync(ct);
            await child.WaitForExitAsync(ct);
            return said.Trim() is { Length: > 0 } text ? text
                : $"{request.Model}: no optimized copy: its maker exited with code {child.ExitCode}";
        }
        catch (IOException e)
        {
            // The process exited before it read its request.
            await child.WaitForExitAsync(ct);
            return $"{request.Model}: no optimized copy: its maker exited with code {child.ExitCode} ({e.Message})";
        }
    }

    /// <summary>
    /// Ends this process when its standard input is closed. The parent keeps the other end open until it stops or dies.
    /// </summary>
    internal static void EndWithParent() => new Thread(() =>
    {
        while (Console.In.Read() >= 0) { }
        Process.GetCurrentProcess().Kill();
    }) { IsBackground = true }.Start();

    private static void YieldToOthers()
    {
        const int process = 0, self = 0, lowest = 19;
        _ = SetPriority(process, self, lowest);
        try
        {
            File.WriteAllText("/proc/self/oom_score_adj", "1000");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Some sandboxes have no such file.
        }
    }

    [LibraryImport("libc", EntryPoint = "setpriority")]
    private static partial int SetPriority(int which, int who, int value);
}
