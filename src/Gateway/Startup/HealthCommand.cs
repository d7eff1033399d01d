namespace Sluice.Gateway.Startup;

/// <summary>
/// Implements <c>Sluice.Gateway health</c>: requests the readiness of the gateway on this machine. Container images
/// without curl use it as health check.
/// </summary>
internal static class HealthCommand
{
    private static readonly TimeSpan RequestTimeout = TimeSpan.FromSeconds(3);

    /// <summary>Requests <c>/readyz</c> and prints the response.</summary>
    /// <returns>0 if the gateway is ready; 1 if it is not ready or does not respond.</returns>
    public static async Task<int> RunAsync(GatewaySettings settings)
    {
        var address = BindingAddress.Parse(settings.Urls.Split(';')[0]);
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { Timeout = RequestTimeout };
        try
        {
            // A gateway that listens on all addresses also listens on the loopback address.
            var host = address.Host is "*" or "+" or "0.0.0.0" or "[::]" ? "127.0.0.1" : address.Host;
            using var response = await client.GetAsync(new Uri($"http://{host}:{address.Port}/readyz"));
            await Console.Out.WriteLineAsync((await response.Content.ReadAsStringAsync()).Trim());
            return response.IsSuccessStatusCode ? 0 : 1;
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
            await Console.Error.WriteLineAsync($"The gateway at {settings.Urls} does not respond: {e.Message}");
            return 1;
        }
    }
}
