using System.Net;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests that a gateway that was asked to stop serves requests until load balancers know it.</summary>
public sealed class ShutdownDelayTest
{
    [Fact]
    public async Task A_stopping_gateway_serves_new_connections_and_closes_them_until_the_delay_is_over()
    {
        await using var gateway = await InProcessGateway.StartAsync(
            Jobs.Manifest("/dev/null"),
            new Dictionary<string, string?> { ["SLUICE_SHUTDOWN_DELAY_SECONDS"] = "5" });
        using (var before = await SendAsync(gateway)) Assert.NotEqual(true, before.Headers.ConnectionClose);
        var (url, key) = (gateway.Url, gateway.Key);

        var stopping = gateway.StopAsync();
        using var client = new HttpClient { BaseAddress = url };
        client.DefaultRequestHeaders.Authorization = new("Bearer", key);
        await Eventually.HoldsAsync(
            async () =>
            {
                using var ready = await client.GetAsync(new Uri("/readyz", UriKind.Relative));
                return ready.StatusCode == HttpStatusCode.ServiceUnavailable;
            },
            "the gateway is not ready");
        Assert.False(stopping.IsCompleted);
        using (var answer = await SendAsync(client))
        {
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.True(answer.Headers.ConnectionClose);
        }

        await stopping;
        await Assert.ThrowsAsync<HttpRequestException>(() => SendAsync(client));
    }

    private static Task<HttpResponseMessage> SendAsync(InProcessGateway gateway) => SendAsync(gateway.Client);

    private static async Task<HttpResponseMessage> SendAsync(HttpClient client)
    {
        using var body = new StringContent("""{"id":"direct","attempt":1,"input":{"do":"sleep","ms":5}}""");
        return await client.PostAsync(new Uri("/e/stub/run", UriKind.Relative), body);
    }
}
