using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Models.Cache;

/// <summary>
/// The maker as a process of its own: the worker's program with one argument. It gets its request as a line on standard
/// input and dies when that ends, so that no worker leaves one behind; it runs at the lowest priority and is the first that the
/// kernel kills when memory runs out.
/// </summary>
public static partial class MakerProcess
{
    /// <summary>The argument that makes a worker's program a maker.</summary>
    public const string Verb = "make-optimised-copy";

    private const int Made = 0, NotMade = 1;

    /// <summary>What the child does; gives its exit code.</summary>
    public static int Run()
    {
        YieldToOthers();
        var request = Console.In.ReadLine() is { } line ? JsonSerializer.Deserialize(line, CacheJson.Default.MakeRequest) : null;
        if (request is null) return NotMade;
        EndWithParent();
        try
        {
            Console.WriteLine(CopyMaker.Make(request, CacheConditions.Here(request.Providers), TimeProvider.System, MemoryRoom.Bytes()));
            return Made;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or OnnxRuntimeException or Win32Exception)
        {
            Console.WriteLine($"{request.Model}: no optimised copy: {e.Message}");
            return NotMade;
        }
    }

    /// <summary>Starts a child, waits for it and gives its last line; a cancelled one is killed.</summary>
    internal static async Task<string> MakeAsync(MakeRequest request, string program, CancellationToken ct)
    {
        var line = JsonSerializer.Serialize(request, CacheJson.Default.MakeRequest);
        var start = new ProcessStartInfo(program, [Verb]) { RedirectStandardInput = true, RedirectStandardOutput = true };
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
                : $"{request.Model}: no optimised copy: its maker ended with {child.ExitCode}";
        }
        catch (IOException e)
        {
            // It died before it had read its request.
            await child.WaitForExitAsync(ct);
            return $"{request.Model}: no optimised copy: its maker ended with {child.ExitCode} ({e.Message})";
        }
    }

    /// <summary>Ends this process when its standard input does: the parent holds the other end until it stops or dies.</summary>
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
