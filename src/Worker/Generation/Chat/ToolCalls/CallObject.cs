using System.Text;
using System.Text.Json;

namespace Sluice.Worker.Generation.Chat.ToolCalls;

/// <summary>
/// Reads a call that is a JSON object with <c>name</c>, and <c>arguments</c> or <c>parameters</c>, character by
/// character.
/// </summary>
internal sealed class CallObject
{
    private readonly StringBuilder raw = new();
    private readonly StringBuilder value = new();
    private readonly StringBuilder space = new();
    private string? key;
    private int depth;
    private bool isString;
    private bool isEscaped;
    private bool isValue;
    private bool hasStarted;

    /// <summary>Everything that was read.</summary>
    public string Raw => raw.ToString();

    /// <summary>Whether the object has ended.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>Whether it is no such object.</summary>
    public bool IsWrong { get; private set; }

    /// <summary>The name of the tool, when it is known.</summary>
    public string? Name { get; private set; }

    /// <summary>The arguments so far that were not taken yet.</summary>
    public StringBuilder Arguments { get; } = new();

    /// <summary>Whether the object has arguments.</summary>
    public bool HasArguments { get; private set; }

    /// <summary>Reads a character.</summary>
    public void Read(char c)
    {
        raw.Append(c);
        if (!hasStarted)
        {
            if (char.IsWhiteSpace(c)) return;
            hasStarted = true;
            IsWrong = c != '{';
            depth = 1;
            return;
        }

        if (isString)
        {
            ReadInString(c);
            return;
        }

        switch (c)
        {
            case '"':
                isString = true;
                break;
            case '{' or '[':
                depth++;
                break;
            case '}' or ']':
                depth--;
                break;
            case ':' when depth == 1 && !isValue:
                StartValue();
                return;
        }

        if (depth == 0 || (depth == 1 && c == ',')) EndValue();
        else Capture(c);
        HasEnded = depth == 0;
        IsWrong |= HasEnded && Name is null;
    }

    private void ReadInString(char c)
    {
        isString = isEscaped || c != '"';
        isEscaped = !isEscaped && c == '\\';
        Capture(c);
    }

    private void StartValue()
    {
        key = ReadText(value.ToString());
        IsWrong |= key is null;
        isValue = true;
        value.Clear();
        space.Clear();
    }

    private void EndValue()
    {
        if (isValue && key == "name")
        {
            Name = ReadText(value.ToString());
            IsWrong |= string.IsNullOrEmpty(Name);
        }

        isValue = false;
        value.Clear();
        space.Clear();
    }

    // Space around a value is no part of it.
    private void Capture(char c)
    {
        var isArguments = isValue && key is "arguments" or "parameters";
        var target = isArguments ? Arguments : value;
        if (!isString && c != '"' && char.IsWhiteSpace(c))
        {
            space.Append(c);
            return;
        }

        if (target.Length > 0 || (isArguments && HasArguments)) target.Append(space);
        space.Clear();
        target.Append(c);
        HasArguments |= isArguments;
    }

    private static string? ReadText(string json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            return document.RootElement.ValueKind == JsonValueKind.String ? document.RootElement.GetString() : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }
}
