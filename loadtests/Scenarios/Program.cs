using Sluice.Scenarios;

// Usage: Scenarios gateway-overhead [--rounds N] [--slice SECONDS] [--out FILE]
var options = args.Skip(1).Chunk(2).ToDictionary(pair => pair[0], pair => pair.Length > 1 ? pair[1] : "");
switch (args.FirstOrDefault())
{
    case "gateway-overhead":
        await GatewayOverhead.RunAsync(ScenarioOptions.Read(options), CancellationToken.None);
        return 0;
    default:
        await Console.Error.WriteLineAsync("usage: Scenarios gateway-overhead [--rounds N] [--slice SECONDS] [--out FILE]");
        return 2;
}
