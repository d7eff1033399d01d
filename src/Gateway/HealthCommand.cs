namespace Sluice.Gateway;

/// <summary><c>Sluice.Gateway health</c>: asks the gateway that runs beside it whether it can serve, for images that have no curl.</summary>
internal static class HealthCommand
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    /// <summary>0: it can; 1: it says why not, or nothing.</summary>
    public static async Task<int> RunAsync(GatewaySettings settings)
    {
        var address = BindingAddress.Parse(settings.Urls.Split(';')[0]);
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { Timeout = Patience };
        try
        {
            // Whatever it listens on, loopback is part of it, unless it names one address.
            var host = address.Host is "*" or "+" or "0.0.0.0" or "[::]" ? "127.0.0.1" : address.Host;
            using var answer = await client.GetAsync(new Uri($"http://{host}:{address.Port}/readyz"));
            await Console.Out.WriteLineAsync((await answer.Content.ReadAsStringAsync()).Trim());
            return answer.IsSuccessStatusCode ? 0 : 1;
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
            await Console.Error.WriteLineAsync($"no answer: {e.Message}");
            return 1;
        }
    }
}
