using Sluice.Testing;
using Sluice.Worker.Devices;

namespace Sluice.Worker.Tests.Doctor;

/// <summary>What a scrape of the metrics learns of the GPUs: as a table, on a clock of the test's, and in the real worker with an nvidia-smi of the test's.</summary>
public sealed class GpuMonitorTest : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-gpus-").FullName;
    private readonly ManualTime time = new();

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData(null, "0,1,2")]
    [InlineData("", "")]
    [InlineData("-1", "")]
    [InlineData("2,0", "2,0")]
    [InlineData("1,7,0", "1")]
    [InlineData("GPU-b", "1")]
    [InlineData("MIG-x", "2")]
    [InlineData("MIG-unknown", "")]
    public void Only_gpus_that_the_process_sees_are_told(string? visible, string indexes) =>
        Assert.Equal(indexes, string.Join(',', GpuMonitor.Visible(Three, visible).Select(g => g.Index)));

    [Fact]
    public async Task Scrapes_share_an_answer_while_it_is_fresh()
    {
        var asked = 0;
        var monitor = new GpuMonitor(() => Asked(ref asked), null, time);
        Assert.Equal(3, (await monitor.ReadAsync(default)).Count);
        await monitor.ReadAsync(default);
        Assert.Equal(1, asked);
        time.Advance(TimeSpan.FromSeconds(3));
        await monitor.ReadAsync(default);
        Assert.Equal(2, asked);
    }

    [Fact]
    public async Task Where_there_is_no_gpu_it_is_asked_once_a_minute()
    {
        var asked = 0;
        var monitor = new GpuMonitor(() => { asked++; return new SmiAnswer([], [], "nvidia-smi is not installed"); }, null, time);
        Assert.Empty(await monitor.ReadAsync(default));
        time.Advance(TimeSpan.FromSeconds(59));
        Assert.Empty(await monitor.ReadAsync(default));
        Assert.Equal(1, asked);
        time.Advance(TimeSpan.FromSeconds(2));
        await monitor.ReadAsync(default);
        Assert.Equal(2, asked);
    }

    [Fact]
    public async Task A_scrape_waits_a_second_for_a_gpu_that_does_not_answer_and_old_answers_are_told_no_more()
    {
        using var hangs = new ManualResetEventSlim();
        var again = new TaskCompletionSource();
        var asked = 0;
        var monitor = new GpuMonitor(() =>
        {
            if (Interlocked.Increment(ref asked) == 1) return Three;
            again.TrySetResult();
            hangs.Wait(ChildProcess.Patience);
            return Three;
        }, null, time);
        await monitor.ReadAsync(default);
        time.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal(3, (await WaitAsync()).Count);
        time.Advance(TimeSpan.FromSeconds(30));
        Assert.Empty(await WaitAsync());
        await again.Task.WaitAsync(ChildProcess.Patience, TimeProvider.System);
        Assert.Equal(2, asked);
        hangs.Set();

        async Task<IReadOnlyList<GpuFacts>> WaitAsync()
        {
            var look = monitor.ReadAsync(default);
            Assert.False(look.IsCompleted);
            time.Advance(TimeSpan.FromSeconds(1));
            return await look;
        }
    }

    [Trait("Needs", "publish")]
    [Fact]
    public async Task The_workers_metrics_tell_what_nvidia_smi_tells_and_nothing_of_what_it_does_not()
    {
        Smi("""
            #!/bin/sh
            echo "0, GPU-a, NVIDIA H200, 580.159, 9.0, Disabled, 143771, 512, 37, 41, 118.42"
            echo "1, GPU-b, NVIDIA A100 \"80GB\" MIG, 580.159, 8.0, [N/A], 81920, [Insufficient Permissions], [N/A], 33, [N/A]"
            """);
        TinyModel.Put(folder, "tiny", TinyModel.Identity("FP32", -1, 2));
        await using var worker = await WorkerProcess.StartAsync(folder,
            new Dictionary<string, string?> { ["PATH"] = folder + ":/usr/bin:/bin", ["CUDA_VISIBLE_DEVICES"] = null });
        string[] lines = [];
        await Eventually.HoldsAsync(async () =>
        {
            lines = [.. (await worker.Client.GetStringAsync("/metrics")).Split('\n').Where(l => l.StartsWith("sluice_gpu_", StringComparison.Ordinal))];
            return lines.Length > 0;
        }, "a scrape that did not have to wait for longer than it does");
        const string h200 = "{gpu=\"0\",uuid=\"GPU-a\",name=\"NVIDIA H200\"}", a100 = "{gpu=\"1\",uuid=\"GPU-b\",name=\"NVIDIA A100 \\\"80GB\\\" MIG\"}";
        Assert.Equal(
        [
            $"sluice_gpu_utilization_ratio{h200} 0.37", $"sluice_gpu_memory_used_bytes{h200} 536870912", $"sluice_gpu_memory_bytes{h200} 150754820096",
            $"sluice_gpu_memory_bytes{a100} 85899345920", $"sluice_gpu_temperature_celsius{h200} 41", $"sluice_gpu_temperature_celsius{a100} 33",
            $"sluice_gpu_power_watts{h200} 118.42",
        ], lines);
    }

    [Trait("Needs", "publish")]
    [Fact]
    public async Task Without_a_gpu_there_are_no_lines_of_gpus()
    {
        Smi("""
            #!/bin/sh
            echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
            exit 9
            """);
        TinyModel.Put(folder, "tiny", TinyModel.Identity("FP32", -1, 2));
        await using var worker = await WorkerProcess.StartAsync(folder, new Dictionary<string, string?> { ["PATH"] = folder + ":/usr/bin:/bin" });
        Assert.DoesNotContain("sluice_gpu_", await worker.Client.GetStringAsync("/metrics"), StringComparison.Ordinal);
    }

    private static SmiAnswer Asked(ref int asked)
    {
        asked++;
        return Three;
    }

    private static SmiAnswer Three => new([.. new[] { "a", "b", "c" }.Select((u, i) => new GpuFacts(i, $"GPU-{u}", "NVIDIA H200", null, null, null, 1, 1, 1))],
        [new MigInstance(2, "1g.18gb", 0, "MIG-x")], null);

    private void Smi(string script)
    {
        var path = Path.Combine(folder, "nvidia-smi");
        File.WriteAllText(path, script + "\n");
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }
}
