using System.Globalization;
using Sluice.ControlPlane.Pods;
using Sluice.Domain.Declarations;
using Sluice.Hosting;
using Sluice.Testing;

namespace Sluice.ControlPlane.Tests.Pods;

/// <summary>The probe accepts any answer at a worker's address, and validates what it stores.</summary>
public sealed class ReadinessProbeTest : IDisposable
{
    private const string Empty = "Content-Length: 0\r\n\r\n";

    private readonly ReadinessProbe probe = new(TimeProvider.System);

    public void Dispose() => probe.Dispose();

    [Theory]
    [InlineData("model;dur=12.5, total;dur=20", "model 12.5, total 20")]
    [InlineData("x;dur=1e999, y;dur=-1e999, z;dur=NaN, v;dur=-1, w;dur=many, u, t;dur=1;desc=2, model;dur=3",
        "model 3")]
    public async Task Only_stages_that_are_numbers_are_kept(string reported, string kept)
    {
        using var worker = new RawServer($"HTTP/1.1 200 OK\r\nServer-Timing: {reported}\r\n{Empty}");
        var pod = PodAt(worker);
        await ReadyAsync(pod);
        var stages = pod.Stages.Select(s => string.Create(CultureInfo.InvariantCulture, $"{s.Name} {s.Ms}"));
        Assert.Equal(kept, string.Join(", ", stages));
    }

    [Fact]
    public async Task The_number_and_the_length_of_stages_are_limited()
    {
        var many = string.Join(',', Enumerable.Range(0, 100).Select(n => $"s{n};dur=1"));
        var tooLong = new string('n', 65);
        using var worker = new RawServer($"HTTP/1.1 200 OK\r\nServer-Timing: {tooLong};dur=1,{many}\r\n{Empty}");
        var pod = PodAt(worker);
        await ReadyAsync(pod);
        Assert.Equal(32, pod.Stages.Count);
        Assert.Equal("s0", pod.Stages[0].Name);
    }

    [Fact]
    public async Task The_body_of_an_answer_is_not_read()
    {
        using var worker = new RawServer("HTTP/1.1 200 OK\r\nContent-Length: 2000000000\r\n\r\nand so on");
        await ReadyAsync(PodAt(worker));
    }

    [Fact]
    public async Task A_redirect_is_not_followed()
    {
        using var elsewhere = new RawServer($"HTTP/1.1 200 OK\r\n{Empty}");
        using var worker = new RawServer($"HTTP/1.1 302 Found\r\nLocation: {elsewhere.Uri}\r\n{Empty}");
        var pod = PodAt(worker);
        var seen = (await probe.ProbeAsync(pod, default)).Seen;
        Assert.EndsWith("/ready over HTTP/1.1: status 302", seen, StringComparison.Ordinal);
        await Eventually.HoldsAsync(() => worker.Asked > 0, "the request");
        Assert.Equal(0, elsewhere.Asked);
    }

    [Fact]
    public async Task A_worker_that_is_ready_over_the_other_protocol_fails_with_an_explanation()
    {
        using var worker = new RawServer($"HTTP/1.1 200 OK\r\n{Empty}");
        var seen = new List<string>();
        Assert.Equal("the worker is ready over HTTP/1.1, but the template's protocol is h2c: set protocol: http1",
            await probe.WaitReadyAsync(PodAt(worker, protocol: WorkerProtocol.H2c), seen.Add, default));
        Assert.Empty(seen);
    }

    [Fact]
    public async Task A_start_that_takes_long_reports_the_last_probe()
    {
        using var worker = new RawServer($"HTTP/1.1 404 Not Found\r\n{Empty}");
        var reported = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var enough = new CancellationTokenSource();
        var pod = PodAt(worker, "/helth");
        var waiting = probe.WaitReadyAsync(pod, seen => reported.TrySetResult(seen), enough.Token);
        var report = await reported.Task.WaitAsync(ChildProcess.Patience, TimeProvider.System);
        Assert.Equal($"GET {worker.Uri}helth over HTTP/1.1: status 404", report);
        await enough.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);

        var order = new PodSpec(Deployed("/", WorkerProtocol.H2c), "e-2");
        var nowhere = new ScriptedPod(order, new Uri($"http://127.0.0.1:{FreePort.Find()}"));
        var refused = (await probe.ProbeAsync(nowhere, default)).Seen;
        Assert.EndsWith("over HTTP/2 (h2c): connection refused", refused, StringComparison.Ordinal);
    }

    /// <summary>Repeats the probe like the product, because an answer may take longer than its time limit.</summary>
    private Task ReadyAsync(RunningPod pod) => Eventually.HoldsAsync(
        async () => (await probe.ProbeAsync(pod, default)).Ready, "a ready answer");

    private static ScriptedPod PodAt(
        RawServer worker,
        string readyPath = "/ready",
        WorkerProtocol protocol = WorkerProtocol.Http1) =>
        new(new PodSpec(Deployed(readyPath, protocol), "e-1"), worker.Uri);
    private static Deployment Deployed(string readyPath, WorkerProtocol protocol) =>
        new(new Endpoint { Id = "e", Template = "t" },
            new Template { Name = "t", ReadyPath = readyPath, Protocol = protocol });
}
