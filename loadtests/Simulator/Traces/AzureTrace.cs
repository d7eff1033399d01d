using System.Globalization;

namespace Sluice.Simulator.Traces;

/// <summary>
/// The Azure LLM inference trace of 2023, service "code" (Patel et al., "Splitwise: Efficient generative LLM inference
/// using phase splitting", ISCA 2024; Azure/AzurePublicDataset, CC-BY 4.0), as arrival offsets in ms and token counts.
/// It contains no service times: they are computed from the tokens.
/// </summary>
public static class AzureTrace
{
    /// <summary>
    /// Prompt tokens and generated tokens per second, approximately those of a 7B model on one data-centre GPU.
    /// </summary>
    private const double Prefill = 20_000;

    private const double Decode = 33;
    private const double Overhead = 0.05;

    /// <param name="path">Path of a file with lines <c>ms,context tokens,generated tokens</c>; lines that start with #
    /// are comments.</param>
    public static Trace Read(string path)
    {
        var requests = new List<Request>();
        foreach (var line in File.ReadLines(path))
        {
            if (line.Length == 0 || line[0] == '#') continue;
            var fields = line.Split(',');
            if (fields.Length != 3) throw new FormatException($"{path}: expected ms,context,generated, not '{line}'");
            var numbers = Array.ConvertAll(fields, f => double.Parse(f, CultureInfo.InvariantCulture));
            requests.Add(new Request(TimeSpan.FromMilliseconds(numbers[0]),
                TimeSpan.FromSeconds(Overhead + numbers[1] / Prefill + numbers[2] / Decode),
                (long)(numbers[1] + numbers[2])));
        }

        return new Trace("azure-code", requests[^1].At + TimeSpan.FromSeconds(1), requests);
    }

    /// <summary>
    /// Returns the trace compressed to a fraction of its time: arrivals are closer and service times shorter, so that
    /// the load in slots stays the same.
    /// </summary>
    public static Trace Compress(Trace trace, double factor) => new($"{trace.Name}/{factor:0}", trace.Length / factor,
        [.. trace.Requests.Select(r => r with { At = r.At / factor, Service = r.Service / factor })]);
}
