using System.Globalization;
using Sluice.Core.Endpoints;
using Sluice.Core.Workers;
using Sluice.Testing;

namespace Sluice.Core.Tests.Workers;

/// <summary>A worker is whatever answers: its word is taken with care.</summary>
public sealed class ReadinessProbeTest : IDisposable
{
    private const string Empty = "Content-Length: 0\r\n\r\n";

    private readonly ReadinessProbe probe = new(TimeProvider.System);

    public void Dispose() => probe.Dispose();

    [Theory]
    [InlineData("model;dur=12.5, total;dur=20", "model 12.5, total 20")]
    [InlineData("x;dur=1e999, y;dur=-1e999, z;dur=NaN, v;dur=-1, w;dur=many, u, t;dur=1;desc=2, model;dur=3", "model 3")]
    public async Task Only_stages_that_are_numbers_are_kept(string told, string kept)
    {
        using var worker = new RawServer($"HTTP/1.1 200 OK\r\nServer-Timing: {told}\r\n{Empty}");
        var pod = PodAt(worker);
        await ReadyAsync(pod);
        Assert.Equal(kept, string.Join(", ", pod.Stages.Select(s => string.Create(CultureInfo.InvariantCulture, $"{s.Name} {s.Ms}"))));
    }

    [Fact]
    public async Task Stages_are_bounded_in_number_and_length()
    {
        var many = string.Join(',', Enumerable.Range(0, 100).Select(n => $"s{n};dur=1"));
        using var worker = new RawServer($"HTTP/1.1 200 OK\r\nServer-Timing: {new string('n', 65)};dur=1,{many}\r\n{Empty}");
        var pod = PodAt(worker);
        await ReadyAsync(pod);
        Assert.Equal(32, pod.Stages.Count);
        Assert.Equal("s0", pod.Stages[0].Name);
    }

    [Fact]
    public async Task The_body_of_an_answer_is_not_waited_for()
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
        Assert.EndsWith("/ready over HTTP/1.1: status 302", (await probe.ProbeAsync(pod, default)).Seen, StringComparison.Ordinal);
        await Eventually.HoldsAsync(() => Task.FromResult(worker.Asked > 0), "its question");
        Assert.Equal(0, elsewhere.Asked);
    }

    [Fact]
    public async Task A_worker_that_is_ready_over_the_other_protocol_is_named_and_not_waited_for()
    {
        using var worker = new RawServer($"HTTP/1.1 200 OK\r\n{Empty}");
        var seen = new List<string>();
        Assert.Equal("the worker is ready over HTTP/1.1, but the template's protocol is h2c: set protocol: http1",
            await probe.WaitReadyAsync(PodAt(worker, protocol: WorkerProtocol.H2c), seen.Add, default));
        Assert.Empty(seen);
    }

    [Fact]
    public async Task What_the_last_question_came_to_is_told_while_a_start_takes_long()
    {
        using var worker = new RawServer($"HTTP/1.1 404 Not Found\r\n{Empty}");
        var told = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var enough = new CancellationTokenSource();
        var waiting = probe.WaitReadyAsync(PodAt(worker, "/helth"), seen => told.TrySetResult(seen), enough.Token);
        Assert.Equal($"not ready: GET {worker.Uri}helth over HTTP/1.1: status 404", await told.Task.WaitAsync(ChildProcess.Patience, TimeProvider.System));
        await enough.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);

        var nowhere = new ScriptedPod(new PodOrder(Deployed("/", WorkerProtocol.H2c), "e-2"), new Uri($"http://127.0.0.1:{FreePort.Find()}"));
        Assert.EndsWith("over HTTP/2 (h2c): connection refused", (await probe.ProbeAsync(nowhere, default)).Seen, StringComparison.Ordinal);
    }

    /// <summary>As the product does, it asks again where an answer took longer than it waits.</summary>
    private Task ReadyAsync(RunningPod pod) => Eventually.HoldsAsync(async () => (await probe.ProbeAsync(pod, default)).Ready, "a ready answer");

    private static ScriptedPod PodAt(RawServer worker, string readyPath = "/ready", WorkerProtocol protocol = WorkerProtocol.Http1) =>
        new(new PodOrder(Deployed(readyPath, protocol), "e-1"), worker.Uri);

    private static Deployment Deployed(string readyPath, WorkerProtocol protocol) =>
        new(new Endpoint { Id = "e", Template = "t" }, new Template { Name = "t", ReadyPath = readyPath, Protocol = protocol });
}
