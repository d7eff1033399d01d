using System.Net;
using System.Text;
using Sluice.Domain.Batches;
using Sluice.Domain.Jobs;
using Sluice.Gateway.Batches;
using Sluice.Gateway.Jobs;

namespace Sluice.Gateway.Tests.Batches;

/// <summary>Tests how the input is split in lines, and how a line of the output is written.</summary>
public sealed class BatchInputTest
{
    private const string Path = "/v1/chat/completions";

    [Theory]
    [InlineData("", "")]
    [InlineData("a", "1:a")]
    [InlineData("a\n", "1:a")]
    [InlineData("a\r\n\n  \nb", "1:a\r 4:b")]
    [InlineData("\ufeffa\nb", "1:a 2:b")]
    [InlineData("0123456789\nb", "1:0123456789 2:b")]
    [InlineData("0123456789x\nb", "1:long 2:b")]
    [InlineData("0123456789x0123456789x0123456789x\nb\n0123456789x", "1:long 2:b 3:long")]
    public async Task Lines_are_numbered_and_limited(string text, string expected)
    {
        // The smallest reads show whether a line is joined.
        foreach (var size in new[] { 1, 1000 })
        {
            using var file = new SlowStream(Encoding.UTF8.GetBytes(text), size);
            var lines = new List<string>();
            await foreach (var line in BatchInput.ReadAsync(file, 10, default))
                lines.Add($"{line.Number}:{(line.IsTooLong ? "long" : Encoding.UTF8.GetString(line.Json.Span))}");
            Assert.Equal(expected, string.Join(' ', lines));
        }
    }

    [Fact]
    public void A_response_is_on_one_line()
    {
        var output = PathJob.Read(HttpStatusCode.OK, "{\n\"a\":\r\n1}"u8.ToArray()).Output;
        var result = BatchResult.From("batch_7", Line("x\"\n"), Path, Job(output));
        Assert.False(result.IsError);
        Assert.Equal("""{"id":"batch_req_7_2","custom_id":"x\u0022\n","response":{"status_code":200,"""
            + "\"request_id\":\"j\","
            + "\"body\":{ \"a\":  1}},\"error\":null}\n", Encoding.UTF8.GetString(result.Json));
    }

    [Fact]
    public void An_error_of_a_worker_is_a_response_and_a_failed_job_is_not()
    {
        var output = PathJob.Read(HttpStatusCode.BadRequest, "no"u8.ToArray()).Output;
        var refused = BatchResult.From("batch_7", Line("x"), Path, Job(output));
        Assert.True(refused.IsError);
        Assert.Contains("""{"status_code":400,"request_id":"j","body":"no"},"error":null}""",
            Encoding.UTF8.GetString(refused.Json), StringComparison.Ordinal);
        var failed = BatchResult.From(
            "batch_7", Line("x"), Path, Job(null) with { Error = new JobError("CODE", "why", false) });
        Assert.True(failed.IsError);
        Assert.Contains("\"response\":null,\"error\":{\"code\":\"CODE\",\"message\":\"why\"}}",
            Encoding.UTF8.GetString(failed.Json), StringComparison.Ordinal);
        Assert.Equal(AttemptKind.Failed, PathJob.Read(HttpStatusCode.OK, "no"u8.ToArray()).Kind);
        Assert.False(PathJob.IsOutput(HttpStatusCode.TooManyRequests));
        Assert.False(PathJob.IsOutput(HttpStatusCode.InternalServerError));
    }

    private static BatchLine Line(string customId) => new(2, customId, "m", []);

    private static Job Job(ReadOnlyMemory<byte>? output) => new()
    {
        Id = "j",
        EndpointId = "e",
        Flow = "key",
        Status = output is null ? JobStatus.Failed : JobStatus.Completed,
        Output = output,
    };

    private sealed class SlowStream(byte[] bytes, int size) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(size, buffer.Length)], cancellationToken);
    }
}
