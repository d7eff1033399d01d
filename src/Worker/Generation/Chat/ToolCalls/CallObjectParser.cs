namespace Sluice.Worker.Generation.Chat.ToolCalls;

/// <summary>A parser for formats in which a call is a JSON object.</summary>
/// <param name="createId">Returns the id of a new call.</param>
public abstract class CallObjectParser(Func<string> createId) : ToolCallParser(createId)
{
    private CallObject? call;
    private bool hasStarted;

    /// <summary>Whether a call is being read.</summary>
    private protected bool IsInCall => call is not null;

    /// <summary>Starts to read a call.</summary>
    private protected void BeginCall()
    {
        call = new CallObject();
        hasStarted = false;
    }

    /// <summary>Reads more of the call.</summary>
    /// <param name="prefix">The text before the object, which is text of the answer if the object is no call.</param>
    /// <param name="isEnd">Whether the answer has ended.</param>
    /// <returns>Whether the call has ended.</returns>
    private protected bool ReadCall(string prefix, bool isEnd)
    {
        var at = 0;
        while (at < Rest.Length && !call!.HasEnded && !call.IsWrong) call.Read(Rest[at++]);
        Rest = Rest[at..];
        if (!hasStarted && (call!.IsWrong || (isEnd && !call.HasEnded && call.Name is null)))
        {
            Add(OutputDeltaKind.Text, prefix + call.Raw);
            call = null;
            return true;
        }

        if (!hasStarted && call!.Name is { } name)
        {
            hasStarted = true;
            StartCall(name);
        }

        if (hasStarted)
        {
            AddArguments(call!.Arguments.ToString());
            call.Arguments.Clear();
            if (call.HasEnded && !call.HasArguments) AddArguments("{}");
        }

        if (!call!.HasEnded && !call.IsWrong && !isEnd) return false;
        call = null;
        return true;
    }
}
