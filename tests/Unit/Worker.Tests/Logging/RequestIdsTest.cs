using System.Net;
using Microsoft.AspNetCore.Http;
using Sluice.Testing;
using Sluice.Worker.Logging;

namespace Sluice.Worker.Tests.Logging;

/// <summary>Tests that lines of the log name their request.</summary>
public sealed class RequestIdsTest
{
    [Theory]
    [InlineData("7f3a-1.B:c_d", "7f3a-1.B:c_d")]
    [InlineData("", null)]
    [InlineData("two words", null)]
    [InlineData("a]\u001b[31m", null)]
    public void Only_plain_ids_are_written(string header, string? expected)
    {
        var context = new DefaultHttpContext();
        context.Request.Headers["X-Request-Id"] = header;
        Assert.Equal(expected, RequestIds.Find(context));
    }

    [Fact]
    public void A_request_without_id_or_with_a_long_one_has_none()
    {
        var context = new DefaultHttpContext();
        Assert.Null(RequestIds.Find(context));
        context.Request.Headers["X-Request-Id"] = new string('x', 129);
        Assert.Null(RequestIds.Find(context));
    }

    [Fact]
    [Trait("Needs", "publish")]
    public async Task The_line_of_a_request_has_its_id()
    {
        var folder = Directory.CreateTempSubdirectory("sluice-ids-").FullName;
        TinyModel.Put(folder, "add", TinyModel.Add("FP32", -1));
        await using (var worker = await WorkerProcess.StartAsync(folder))
        {
            worker.Client.DefaultRequestHeaders.Add("X-Sluice-Admin", "1");
            using var setting = await worker.Client.PostAsync(
                new Uri("/v2/logging", UriKind.Relative), new StringContent("""{"log_verbose_level":1}"""));
            Assert.Equal(HttpStatusCode.OK, setting.StatusCode);
            worker.Client.DefaultRequestHeaders.Add("X-Request-Id", "of-this-test");
            using var response = await worker.Client.GetAsync(new Uri("/v2/models/add", UriKind.Relative));
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            await worker.Process.LineAsync("WorkerAuthMiddleware [of-this-test]: GET /v2/models/add 200");
        }

        Directory.Delete(folder, recursive: true);
    }
}
