using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Sluice.Domain.Declarations;
using Sluice.Gateway.Http;
using Sluice.Gateway.Jobs;
using Sluice.Testing;
using Endpoint = Sluice.Domain.Declarations.Endpoint;

namespace Sluice.Gateway.Tests.Jobs;

/// <summary>
/// Tests the limits of submission bodies: their size, their total memory and the time without progress.
/// </summary>
public sealed class JobBodyReaderTest
{
    private const int Mb = 1 << 20;

    private readonly ManualTime time = new();
    private readonly ByteBudget budget = new(50 * Mb);
    private readonly Endpoint endpoint =
        new() { Id = "e", Template = "t", Jobs = new JobPolicy { MaxInputBytes = 20 * Mb } };
    private readonly JobBodyReader bodies;

    public JobBodyReaderTest() => bodies = new JobBodyReader(budget, time);

    [Fact]
    public async Task A_body_that_stalls_is_rejected_after_a_window_without_progress()
    {
        var client = new Client(this);
        await client.SendAsync(19 * Mb);
        await client.BufferedAsync(38L * Mb);
        // The first window had progress.
        time.Advance(PacedBodyReader.Window);
        Assert.False(client.Read.IsCompleted);
        time.Advance(PacedBodyReader.Window);
        Assert.Null(await client.Read);
        Assert.Equal((408, 0L), (client.Context.Response.StatusCode, budget.Used));
    }

    [Fact]
    public async Task A_slow_body_that_makes_progress_in_each_window_is_read()
    {
        var client = new Client(this);
        for (var i = 1; i <= 5; i++)
        {
            await client.SendAsync(PacedBodyReader.WindowBytes);
            await client.BufferedAsync(2L * i * PacedBodyReader.WindowBytes);
            time.Advance(PacedBodyReader.Window);
        }

        await client.EndAsync();
        using (var body = await client.Read)
            Assert.Equal(5 * PacedBodyReader.WindowBytes, body!.Bytes.Length);
        Assert.Equal(0, budget.Used);
    }

    [Fact]
    public async Task A_body_with_too_little_progress_in_a_window_is_rejected()
    {
        var client = new Client(this);
        await client.SendAsync(PacedBodyReader.WindowBytes - 1);
        await client.BufferedAsync(2L * (PacedBodyReader.WindowBytes - 1));
        time.Advance(PacedBodyReader.Window);
        Assert.Null(await client.Read);
        Assert.Equal(408, client.Context.Response.StatusCode);
    }

    [Fact]
    public async Task Bodies_use_no_more_memory_than_the_budget_and_further_bodies_are_rejected()
    {
        // Each body has up to 20 MiB and is buffered twice.
        var first = new Client(this);
        await first.SendAsync(20 * Mb);
        await first.BufferedAsync(40L * Mb);
        var second = new Client(this);
        await second.SendAsync(6 * Mb);
        Assert.Null(await second.Read);
        var response = second.Context.Response;
        Assert.Equal((503, "1"), (response.StatusCode, response.Headers.RetryAfter.ToString()));
        Assert.Equal("close", response.Headers.Connection.ToString());
        Assert.Equal(40L * Mb, budget.Used);

        await first.EndAsync();
        (await first.Read)!.Dispose();
        Assert.Equal(0, budget.Used);
        var third = new Client(this);
        await third.SendAsync(6 * Mb);
        await third.EndAsync();
        using var body = await third.Read;
        Assert.Equal(6 * Mb, body!.Bytes.Length);
    }

    [Fact]
    public async Task A_body_above_the_limit_is_rejected_and_its_memory_is_released()
    {
        var client = new Client(this);
        await client.SendAsync(10 * Mb);
        await client.BufferedAsync(20L * Mb);
        await client.SendAsync((10 * Mb) + 1);
        Assert.Null(await client.Read);
        Assert.Equal((413, 0L), (client.Context.Response.StatusCode, budget.Used));
    }

    /// <summary>A request whose body arrives in pieces.</summary>
    private sealed class Client
    {
        private readonly Pipe pipe = new(new PipeOptions(pauseWriterThreshold: 0));
        private readonly JobBodyReaderTest test;

        public Client(JobBodyReaderTest test)
        {
            this.test = test;
            Context = new DefaultHttpContext();
            Context.Request.Protocol = "HTTP/1.1";
            Context.Features.Set<IRequestBodyPipeFeature>(new Body(pipe.Reader));
            // Without the limits of the reader, the read would never end.
            Read = test.bodies.ReadAsync(Context, test.endpoint).WaitAsync(ChildProcess.Patience, TimeProvider.System);
        }

        public DefaultHttpContext Context { get; }

        public Task<JobBody?> Read { get; }

        public async Task SendAsync(int bytes) => await pipe.Writer.WriteAsync(new byte[bytes]);

        public Task EndAsync() => pipe.Writer.CompleteAsync().AsTask();

        /// <summary>Waits until the gateway uses the given number of bytes.</summary>
        public Task BufferedAsync(long used) => Eventually.HoldsAsync(() => test.budget.Used >= used);

        private sealed record Body(PipeReader Reader) : IRequestBodyPipeFeature;
    }
}
