using System.Globalization;
using System.Text;

namespace Sluice.Worker.OpenAi;

/// <summary>
/// A stream that another worker began, and what its client has already: the request of a gateway whose worker was lost.
/// The gateway keeps the marks of the stream and does not read them, so only this class knows their form:
/// <c>[choice:][token][!]</c>, with a space after each. The choice is missing if it is 0, the token if the model ended
/// the text, and <c>!</c> is the end of a choice.
/// </summary>
/// <param name="Origin">The origin of the stream.</param>
/// <param name="Fingerprint">The fingerprint of the model and the prompts.</param>
/// <param name="Choices">The tokens of each choice that the client has, and whether the choice has ended.</param>
internal sealed record Continuation(
    StreamOrigin Origin,
    string Fingerprint,
    IReadOnlyDictionary<int, (List<int> Tokens, bool HasEnded)> Choices)
{
    /// <summary>
    /// Of a request: <c>1</c> asks for a stream that can be continued; another value is that of an earlier response,
    /// and asks for the rest. Of a response: what a continuation needs. The gateway removes the header from requests
    /// and responses of clients.
    /// </summary>
    public const string Header = "X-Sluice-Resume";

    /// <summary>Number of bytes of the marks, which precede the body of a request that asks for the rest.</summary>
    public const string MarksHeader = "X-Sluice-Resume-Marks";

    /// <summary>The mark of the end of a stream.</summary>
    public const string End = "end";

    /// <summary>
    /// Maximum number of bytes of the marks. A token has at most 12, and a gateway keeps at most 1 MiB.
    /// </summary>
    public const int MaxMarksBytes = 4 << 20;

    /// <summary>Returns the mark of a piece of a choice.</summary>
    /// <param name="choice">The number of the choice.</param>
    /// <param name="token">The token; null: the piece has none.</param>
    /// <param name="isEnd">Whether the choice has ended.</param>
    public static string Mark(int choice, int? token, bool isEnd) => string.Create(
        CultureInfo.InvariantCulture, $"{(choice == 0 ? "" : $"{choice}:")}{token}{(isEnd ? "!" : "")}");

    /// <summary>Reads a continuation.</summary>
    /// <param name="announced">The value of <see cref="Header"/>.</param>
    /// <param name="marks">The marks of the parts of the stream that the client has.</param>
    /// <exception cref="OpenAiException">400: the values have another form.</exception>
    public static Continuation Read(string announced, ReadOnlySpan<byte> marks)
    {
        var origin = StreamOrigin.Read(announced, out var fingerprint) ?? throw new OpenAiException(
            $"The header {Header} is '{announced}'; expected the value of an earlier response.");
        var choices = new Dictionary<int, (List<int> Tokens, bool HasEnded)>();
        foreach (var range in marks.Split((byte)' '))
        {
            var mark = marks[range];
            if (mark.IsEmpty) continue;
            var text = Encoding.ASCII.GetString(mark);
            var isEnd = text.EndsWith('!');
            var colon = text.IndexOf(':', StringComparison.Ordinal);
            var token = text[(colon + 1)..^(isEnd ? 1 : 0)];
            var choice = colon < 0 ? 0 : ReadNumber(text[..colon], text);
            var (tokens, hasEnded) = choices.GetValueOrDefault(choice, ([], false));
            if (hasEnded) throw Invalid(text);
            if (token.Length > 0) tokens.Add(ReadNumber(token, text));
            else if (!isEnd) throw Invalid(text);
            choices[choice] = (tokens, isEnd);
        }

        return new Continuation(origin, fingerprint, choices);
    }

    /// <summary>Returns a request that continues where the client's part ends.</summary>
    /// <exception cref="OpenAiException">
    /// 400: a choice is unknown. 409: the request belongs to another model or another prompt.
    /// </exception>
    public TextRequest Apply(TextRequest request, string model)
    {
        if (Fingerprint != StreamOrigin.Fingerprint(model, request.Choices))
            throw new OpenAiException(
                "The stream to continue began with another model, tokenizer or prompt; expected the same ones.",
                null, 409, "stream_not_resumable");
        if (Choices.Keys.FirstOrDefault(i => i >= request.Choices.Count, -1) is > -1 and var unknown)
            throw new OpenAiException(
                $"The stream to continue has the choice '{unknown}'; expected 0 to {request.Choices.Count - 1}.");
        return request with { Choices = [.. request.Choices.Select(Continue)] };

        Choice Continue(Choice choice) => Choices.TryGetValue(choice.Index, out var earlier)
            ? new Choice(choice.Index, choice.Request with { Emitted = earlier.Tokens }, earlier.HasEnded)
            : choice;
    }

    private static int ReadNumber(string digits, string mark) =>
        int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw Invalid(mark);

    private static OpenAiException Invalid(string mark) => new(
        $"The mark of the stream to continue is '{mark}'; expected [choice:][token][!], and none after the end.");
}
